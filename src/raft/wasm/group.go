package main

import (
	"fmt"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// uncommittedBytesMax is for descriptors: an entry takes some hundred bytes of this memory, so the
// number of entries that wait for a quorum is bounded. The host bounds their payloads.
const uncommittedBytesMax = 1 << 20

// applyingBytesMax bounds the committed entries that are handed out and not applied yet.
const applyingBytesMax = 256 << 10

// A group is one replica of one Raft group. Its log is the host's.
type group struct {
	handle  uint32
	id      uint64
	node    *raft.RawNode
	storage *hostStorage
	// Why it is of no use any more; empty while it is.
	failure string
	// What is stepped when a storage job is done, oldest first.
	appends, applies []job
	lastJob          uint64
}

var (
	groups      []*group
	freeHandles []uint32
)

func find(handle uint32) *group {
	if int(handle) >= len(groups) {
		return nil
	}
	return groups[handle]
}

// open makes a group and gives its handle. The host's log must answer under that handle during
// the call already, so next_handle tells it before.
//
//go:wasmexport open
func open(size uint32) (code int32) {
	handle := nextHandle()
	defer func() {
		if p := recover(); p != nil {
			code = refuse(fmt.Sprint(p)) << 1
		}
	}()
	r := reader{bytes: input(size)}
	config, storage := r.config(handle)
	if r.bad {
		return refuse("short configuration") << 1
	}
	node, err := raft.NewRawNode(config)
	if err != nil {
		return refuse(err.Error()) << 1
	}
	take(handle, &group{handle: handle, id: config.ID, node: node, storage: storage})
	return statusOK<<1 | bit(node.HasReady(), 1)
}

// next_handle is the handle that the next group will get.
//
//go:wasmexport next_handle
func nextHandle() uint32 {
	if n := len(freeHandles); n > 0 {
		return freeHandles[n-1]
	}
	return uint32(len(groups))
}

func take(handle uint32, g *group) {
	if n := len(freeHandles); n > 0 {
		freeHandles = freeHandles[:n-1]
		groups[handle] = g
	} else {
		groups = append(groups, g)
	}
}

// close_group forgets a group, also one that failed.
//
//go:wasmexport close_group
func closeGroup(handle uint32) {
	if find(handle) != nil {
		groups[handle] = nil
		freeHandles = append(freeHandles, handle)
	}
}

// config: u64 id, u64 applied, u32 election ticks, u32 heartbeat ticks, u32 inflight messages,
// u32 message bytes, hard state, conf state
func (r *reader) config(handle uint32) (*raft.Config, *hostStorage) {
	c := &raft.Config{
		ID:              r.u64(),
		Applied:         r.u64(),
		ElectionTick:    int(r.u32()),
		HeartbeatTick:   int(r.u32()),
		MaxInflightMsgs: int(r.u32()),
		MaxSizePerMsg:   uint64(r.u32()),

		MaxCommittedSizePerReady:  applyingBytesMax,
		MaxUncommittedEntriesSize: uncommittedBytesMax,

		// The leader's disk writes while its messages are on their way.
		AsyncStorageWrites: true,
		// A replica that comes back after a partition must not disturb the leader.
		PreVote:     true,
		CheckQuorum: true,
		// No lease: clocks are not trusted with linearizability.
		ReadOnlyOption: raft.ReadOnlySafe,
		// The host forwards whole requests; only it has their payloads.
		DisableProposalForwarding: true,
		StepDownOnRemoval:         true,
	}
	storage := &hostStorage{handle: handle, hard: r.hardState(), conf: r.confState()}
	c.Storage = storage
	c.Logger = hostLogger{}
	return c, storage
}

//go:wasmexport tick
func tick(handle uint32) int32 {
	return on(handle, func(g *group) int32 {
		g.node.Tick()
		return statusOK
	})
}

// Apart from out, where a failed group's text goes.
var tickCodes []byte

// tick_all takes handles (u32 each) and gives one byte for each: its code, as tick returns it.
//
//go:wasmexport tick_all
func tickAll(size uint32) {
	r := reader{bytes: input(size)}
	tickCodes = tickCodes[:0]
	for len(r.bytes) >= 4 {
		tickCodes = append(tickCodes, byte(tick(r.u32())))
	}
	give(append(out[:0], tickCodes...))
}

//go:wasmexport campaign
func campaign(handle uint32) int32 {
	return on(handle, func(g *group) int32 { return statusOf(g.node.Campaign()) })
}

//go:wasmexport step
func step(handle, size uint32) int32 {
	return on(handle, func(g *group) int32 {
		r := reader{bytes: input(size)}
		m := r.message()
		if r.bad || len(r.bytes) > 0 {
			return statusMalformed
		}
		if status := check(g.id, m); status != statusOK {
			return status
		}
		return statusOf(g.node.Step(m))
	})
}

// propose: u32 count, then u32 length and data of each; all or none.
//
//go:wasmexport propose
func propose(handle, size uint32) int32 {
	return on(handle, func(g *group) int32 {
		r := reader{bytes: input(size)}
		m := &pb.Message{Type: pb.MsgProp.Enum(), From: &g.id, Entries: r.proposals()}
		if r.bad || len(m.Entries) == 0 {
			return refuse("no entries, or too many")
		}
		return statusOf(g.node.Step(m))
	})
}

//go:wasmexport read_index
func readIndex(handle, size uint32) int32 {
	return on(handle, func(g *group) int32 {
		g.node.ReadIndex(append([]byte{}, input(size)...))
		return statusOK
	})
}

// transfer_leader does nothing but on a leader: the library would forward the request, and panics
// where one is forwarded twice.
//
//go:wasmexport transfer_leader
func transferLeader(handle uint32, to float64) int32 {
	return on(handle, func(g *group) int32 {
		if g.node.BasicStatus().RaftState != raft.StateLeader {
			return statusDropped
		}
		g.node.TransferLeader(uint64(to))
		return statusOK
	})
}

// forget_leader makes a leader a follower, and a follower one without a leader. The library has no
// call for the first: two checks of the quorum with nothing heard in between have that effect, but
// on a leader that is the only voter.
//
//go:wasmexport forget_leader
func forgetLeader(handle uint32) int32 {
	return on(handle, func(g *group) int32 {
		for range 2 {
			thread := uint64(raft.LocalAppendThread)
			m := &pb.Message{Type: pb.MsgCheckQuorum.Enum(), From: &thread}
			if err := g.node.Step(m); err != nil {
				return statusOf(err)
			}
		}
		return statusOf(g.node.ForgetLeader())
	})
}

//go:wasmexport report_unreachable
func reportUnreachable(handle uint32, id float64) int32 {
	return on(handle, func(g *group) int32 {
		g.node.ReportUnreachable(uint64(id))
		return statusOK
	})
}

//go:wasmexport report_snapshot
func reportSnapshot(handle uint32, id float64, isDone uint32) int32 {
	return on(handle, func(g *group) int32 {
		outcome := raft.SnapshotFailure
		if isDone != 0 {
			outcome = raft.SnapshotFinish
		}
		g.node.ReportSnapshot(uint64(id), outcome)
		return statusOK
	})
}
