package main

import pb "go.etcd.io/raft/v3/raftpb"

const (
	// What a read request may carry.
	readContextBytesMax = 1 << 10
	// The library's own: a count of read requests, or the kind of an election.
	contextBytesMax = 64
	// Of the heartbeat's context: the library reads so many without looking.
	heartbeatContextBytes = 8
)

// check refuses what no correct core sends: the library trusts its messages, and a panic of it
// costs the group.
func check(id uint64, m *pb.Message) int32 {
	if m.GetTo() != id || m.GetFrom() == id || m.GetFrom() == 0 {
		return statusIgnored
	}
	// A forwarded read request is the only one without a term.
	if (m.GetTerm() == 0) != (m.GetType() == pb.MsgReadIndex) {
		return statusMalformed
	}
	isFine := false
	switch m.GetType() {
	case pb.MsgApp:
		isFine = areInOrder(m)
	case pb.MsgSnap:
		isFine = len(m.GetEntries()) == 0 && isSnapshot(m.GetSnapshot())
	case pb.MsgReadIndex, pb.MsgReadIndexResp:
		isFine = len(m.GetEntries()) == 1 && len(m.GetEntries()[0].GetData()) <= readContextBytesMax
	case pb.MsgHeartbeat, pb.MsgHeartbeatResp:
		size := len(m.GetContext())
		isFine = len(m.GetEntries()) == 0 && (size == 0 || size == heartbeatContextBytes)
	case pb.MsgAppResp, pb.MsgVote, pb.MsgVoteResp, pb.MsgPreVote, pb.MsgPreVoteResp,
		pb.MsgTimeoutNow:
		isFine = len(m.GetEntries()) == 0
	}
	hasSnapshot := m.GetSnapshot() != nil
	if !isFine || len(m.GetContext()) > contextBytesMax || hasSnapshot != (m.GetType() == pb.MsgSnap) {
		return statusMalformed
	}
	return statusOK
}

// areInOrder: terms never go down, from the entry before to the message's own.
func areInOrder(m *pb.Message) bool {
	before := m.GetLogTerm()
	for _, e := range m.GetEntries() {
		if e.GetTerm() < before || e.GetTerm() == 0 {
			return false
		}
		before = e.GetTerm()
		if e.GetType() == pb.EntryNormal {
			continue
		}
		if _, err := decodeConfChange(e.GetType(), e.GetData()); err != nil {
			return false
		}
	}
	return before <= m.GetTerm() && m.GetIndex()+uint64(len(m.GetEntries())) <= numberMax
}

// isSnapshot: ids are not 0, and nobody is in two lists that exclude one another.
func isSnapshot(s *pb.Snapshot) bool {
	meta := s.GetMetadata()
	conf := meta.GetConfState()
	if meta.GetIndex() == 0 || meta.GetTerm() == 0 || len(conf.GetVoters()) == 0 {
		return false
	}
	return isConfState(conf)
}

func isConfState(conf *pb.ConfState) bool {
	voters, learners := map[uint64]bool{}, map[uint64]bool{}
	add := func(set map[uint64]bool, ids []uint64) bool {
		for _, id := range ids {
			if id == 0 || set[id] {
				return false
			}
			set[id] = true
		}
		return true
	}
	outgoing, next := map[uint64]bool{}, map[uint64]bool{}
	if !add(voters, conf.GetVoters()) || !add(learners, conf.GetLearners()) ||
		!add(outgoing, conf.GetVotersOutgoing()) || !add(next, conf.GetLearnersNext()) {
		return false
	}
	for id := range learners {
		if voters[id] || outgoing[id] {
			return false
		}
	}
	for id := range next {
		if !outgoing[id] || voters[id] {
			return false
		}
	}
	return len(outgoing) > 0 || !conf.GetAutoLeave()
}
