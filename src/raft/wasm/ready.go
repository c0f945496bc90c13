package main

import (
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// A job is storage work that the host does; its responses wait until then.
type job struct {
	id        uint64
	responses []*pb.Message
}

const (
	readyHasSoft = 1 << iota
	readyHasHard
	readyHasSnapshot
)

// ready gives what is to be done now. To be called when the last code said so.
//
//	u8 flags, u64 append job, u64 apply job, u64 first committed, u64 last committed,
//	[u64 leader, u8 role], [hard state], [snapshot], u64 index of the first entry, entries,
//	u32 count, then u32 length and message of each,
//	u32 count, then u64 index, u32 length and context of each read
//
//go:wasmexport ready
func ready(handle uint32) int32 {
	return on(handle, func(g *group) int32 {
		give(g.putReady(out[:0], g.node.Ready()))
		return statusOK
	})
}

func (g *group) putReady(b []byte, rd raft.Ready) []byte {
	messages, appendJob, applyJob := g.takeJobs(rd.Messages)
	hasHard, hasSnapshot := !raft.IsEmptyHardState(rd.HardState), !raft.IsEmptySnap(rd.Snapshot)
	b = append(b, byte(bit(rd.SoftState != nil, readyHasSoft)|
		bit(hasHard, readyHasHard)|bit(hasSnapshot, readyHasSnapshot)))
	b = put64(put64(b, appendJob), applyJob)
	first, last := uint64(0), uint64(0)
	if n := len(rd.CommittedEntries); n > 0 {
		first, last = rd.CommittedEntries[0].GetIndex(), rd.CommittedEntries[n-1].GetIndex()
	}
	b = put64(put64(b, first), last)
	if rd.SoftState != nil {
		b = append(put64(b, rd.SoftState.Lead), byte(rd.SoftState.RaftState))
	}
	if hasHard {
		b = putHardState(b, rd.HardState)
	}
	if hasSnapshot {
		b = putSnapshot(b, rd.Snapshot)
	}
	first = 0
	if len(rd.Entries) > 0 {
		first = rd.Entries[0].GetIndex()
	}
	b = putEntries(put64(b, first), rd.Entries)
	b = putMessages(b, messages)
	b = put32(b, uint32(len(rd.ReadStates)))
	for _, read := range rd.ReadStates {
		b = putBytes(put64(b, read.Index), read.RequestCtx)
	}
	return b
}

// takeJobs takes the messages to the storage threads off the end. Nothing waits for a write that
// has no responses, so it is no job (a commit index alone need not be durable).
func (g *group) takeJobs(messages []*pb.Message) (rest []*pb.Message, appendJob, applyJob uint64) {
	rest = messages
	for len(rest) > 0 {
		m := rest[len(rest)-1]
		switch {
		case m.GetTo() == raft.LocalAppendThread && len(m.GetResponses()) > 0:
			g.lastJob++
			appendJob = g.lastJob
			g.appends = append(g.appends, job{appendJob, m.GetResponses()})
		case m.GetTo() == raft.LocalAppendThread:
		case m.GetTo() == raft.LocalApplyThread:
			g.lastJob++
			applyJob = g.lastJob
			g.applies = append(g.applies, job{applyJob, m.GetResponses()})
		default:
			return rest, appendJob, applyJob
		}
		rest = rest[:len(rest)-1]
	}
	return rest, appendJob, applyJob
}

// job_done takes jobs of each kind in their order and gives messages that may be sent now, as in a
// Ready.
//
//go:wasmexport job_done
func jobDone(handle uint32, id float64) int32 {
	return on(handle, func(g *group) int32 {
		var done job
		switch job := uint64(id); {
		case len(g.appends) > 0 && g.appends[0].id == job:
			done, g.appends = g.appends[0], g.appends[1:]
		case len(g.applies) > 0 && g.applies[0].id == job:
			done, g.applies = g.applies[0], g.applies[1:]
		default:
			return refuse("the job is not the oldest of its kind")
		}
		others := done.responses[:0:0]
		for _, m := range done.responses {
			if m.GetTo() == g.id {
				// Fails for a replica that was removed meanwhile, which has no say any more.
				_ = g.node.Step(m)
			} else {
				others = append(others, m)
			}
		}
		if len(others) > 0 {
			give(putMessages(out[:0], others))
		}
		return statusOK
	})
}
