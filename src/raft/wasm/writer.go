package main

import (
	"encoding/binary"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

func put32(b []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(b, v) }
func put64(b []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(b, v) }

func bit(isSet bool, value int32) int32 {
	if isSet {
		return value
	}
	return 0
}

func putBytes(b, data []byte) []byte { return append(put32(b, uint32(len(data))), data...) }

func putIDs(b []byte, ids []uint64) []byte {
	b = put32(b, uint32(len(ids)))
	for _, id := range ids {
		b = put64(b, id)
	}
	return b
}

// hard state: u64 term, u64 vote, u64 commit
func putHardState(b []byte, h *pb.HardState) []byte {
	return put64(put64(put64(b, h.GetTerm()), h.GetVote()), h.GetCommit())
}

// conf state: u8 auto leave, then u32 count and u64 each of voters, learners, outgoing voters and
// next learners
func putConfState(b []byte, c *pb.ConfState) []byte {
	b = append(b, byte(bit(c.GetAutoLeave(), 1)))
	b = putIDs(putIDs(b, c.GetVoters()), c.GetLearners())
	return putIDs(putIDs(b, c.GetVotersOutgoing()), c.GetLearnersNext())
}

// snapshot: u64 index, u64 term, conf state, u32 length, data
func putSnapshot(b []byte, s *pb.Snapshot) []byte {
	meta := s.GetMetadata()
	b = put64(put64(b, meta.GetIndex()), meta.GetTerm())
	return putBytes(putConfState(b, meta.GetConfState()), s.GetData())
}

// entries: u32 count, then u64 term, u8 type, u32 length and data of each; their indexes follow one
// another, the first one is known
func putEntries(b []byte, entries []*pb.Entry) []byte {
	b = put32(b, uint32(len(entries)))
	for i, e := range entries {
		if e.GetIndex() != 0 && e.GetIndex() != entries[0].GetIndex()+uint64(i) {
			panic("entries do not follow one another")
		}
		b = putBytes(append(put64(b, e.GetTerm()), byte(e.GetType())), e.GetData())
	}
	return b
}

const (
	messageReject = 1 << iota
	messageHasSnapshot
	messageHasContext
)

// message: u8 type, u8 flags, u64 to, u64 from, u64 term, u64 log term, u64 index, u64 commit,
// u64 reject hint, entries (from index + 1), [u32 length, context], [snapshot]
func putMessage(b []byte, m *pb.Message) []byte {
	hasSnapshot := !raft.IsEmptySnap(m.GetSnapshot())
	hasContext := len(m.GetContext()) > 0
	b = append(b, byte(m.GetType()), byte(bit(m.GetReject(), messageReject)|
		bit(hasSnapshot, messageHasSnapshot)|bit(hasContext, messageHasContext)))
	b = put64(put64(put64(b, m.GetTo()), m.GetFrom()), m.GetTerm())
	b = put64(put64(b, m.GetLogTerm()), m.GetIndex())
	b = put64(put64(b, m.GetCommit()), m.GetRejectHint())
	b = putEntries(b, m.GetEntries())
	if hasContext {
		b = putBytes(b, m.GetContext())
	}
	if hasSnapshot {
		b = putSnapshot(b, m.GetSnapshot())
	}
	return b
}

// messages: u32 count, then u32 length and message of each
func putMessages(b []byte, messages []*pb.Message) []byte {
	b = put32(b, uint32(len(messages)))
	for _, m := range messages {
		at := len(b)
		b = putMessage(put32(b, 0), m)
		binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	}
	return b
}
