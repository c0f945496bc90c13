package main

import (
	"errors"

	"google.golang.org/protobuf/proto"

	"go.etcd.io/raft/v3/confchange"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

// propose_conf_change: u32 count, then u8 type (raftpb.ConfChangeType) and u64 id of each, then u32
// length and context.
//
//go:wasmexport propose_conf_change
func proposeConfChange(handle, size uint32) int32 {
	return on(handle, func(g *group) int32 {
		r := reader{bytes: input(size)}
		change := r.confChange()
		if r.bad || len(change.Changes) == 0 {
			return refuse("no changes, or too many")
		}
		if err := g.tryChange(change); err != nil {
			return refuse(err.Error())
		}
		kind, data, err := pb.MarshalConfChange(change)
		if err != nil {
			return statusOf(err)
		}
		entries := []*pb.Entry{{Type: &kind, Data: data}}
		m := &pb.Message{Type: pb.MsgProp.Enum(), From: &g.id, Entries: entries}
		if err := g.node.Step(m); err != nil {
			return statusOf(err)
		}
		// The library puts an empty entry in the place of a change that may not be now.
		if entries[0].GetType() == pb.EntryNormal {
			return statusDropped
		}
		return statusOK
	})
}

// tryChange says why a change could not be applied. Once it is committed that would be too late:
// the library panics then, in every replica and after every restart.
func (g *group) tryChange(change *pb.ConfChangeV2) error {
	status := g.node.Status()
	config := status.Config.Clone()
	progress := tracker.ProgressMap{}
	for _, ids := range []map[uint64]struct{}{config.Voters[0], config.Voters[1], config.Learners} {
		for id := range ids {
			_, isLearner := config.Learners[id]
			progress[id] = &tracker.Progress{IsLearner: isLearner}
		}
	}
	changer := confchange.Changer{
		Tracker:   tracker.ProgressTracker{Config: config, Progress: progress, MaxInflight: 1},
		LastIndex: status.GetCommit(),
	}
	var err error
	if len(config.Voters[1]) > 0 {
		// Not now: the library will say so itself.
		return nil
	}
	if autoLeave, isJoint := change.EnterJoint(); isJoint {
		if _, _, err = changer.EnterJoint(autoLeave, change.Changes...); err == nil {
			return nil
		}
	} else {
		_, _, err = changer.Simple(change.Changes...)
	}
	return err
}

// apply_conf_change takes the data of a committed entry of that type and gives the conf state.
//
//go:wasmexport apply_conf_change
func applyConfChange(handle, kind, size uint32) int32 {
	return on(handle, func(g *group) int32 {
		change, err := decodeConfChange(pb.EntryType(kind), input(size))
		if err != nil {
			return statusOf(err)
		}
		give(putConfState(out[:0], g.node.ApplyConfChange(change)))
		return statusOK
	})
}

func decodeConfChange(kind pb.EntryType, data []byte) (pb.ConfChangeI, error) {
	switch kind {
	case pb.EntryConfChange:
		change := &pb.ConfChange{}
		return change, proto.Unmarshal(data, change)
	case pb.EntryConfChangeV2:
		change := &pb.ConfChangeV2{}
		return change, proto.Unmarshal(data, change)
	}
	return nil, errors.New("no entry that changes the membership")
}
