package main

import (
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

const (
	progressIsLearner = 1 << iota
	progressIsActive
)

// status: hard state, u64 applied, u64 leader, u64 transferee, u8 role, conf state, u32 count, then
// of each replica u64 id, u64 match, u64 next, u8 state, u8 flags
//
//go:wasmexport status
func status(handle uint32) int32 {
	return on(handle, func(g *group) int32 {
		give(putStatus(out[:0], g.node.Status()))
		return statusOK
	})
}

func putStatus(b []byte, s raft.Status) []byte {
	b = putHardState(b, s.HardState)
	b = put64(put64(put64(b, s.Applied), s.Lead), s.LeadTransferee)
	b = append(b, byte(s.RaftState))
	b = putConfState(b, &pb.ConfState{
		Voters:         s.Config.Voters[0].Slice(),
		VotersOutgoing: s.Config.Voters[1].Slice(),
		Learners:       sorted(s.Config.Learners),
		LearnersNext:   sorted(s.Config.LearnersNext),
		AutoLeave:      &s.Config.AutoLeave,
	})
	b = put32(b, uint32(len(s.Progress)))
	for _, id := range sorted(s.Progress) {
		p := s.Progress[id]
		b = put64(put64(put64(b, id), p.Match), p.Next)
		flags := bit(p.IsLearner, progressIsLearner) | bit(p.RecentActive, progressIsActive)
		b = append(b, byte(p.State), byte(flags))
	}
	return b
}

// sorted makes a result independent of the order of a map.
func sorted[V any](set map[uint64]V) []uint64 {
	ids := make([]uint64, 0, len(set))
	for id := range set {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
