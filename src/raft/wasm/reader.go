package main

import (
	"encoding/binary"

	pb "go.etcd.io/raft/v3/raftpb"
)

const (
	// Bytes of an entry without data.
	entryHeadBytes = 13
	// Entries of one message: bounds the memory that one takes.
	messageEntriesMax = 1 << 16
	// Ids in one list of a conf state.
	membersMax = 64
	// Of ids, terms and indexes. The host's numbers are exact up to twice of it, so there is room to
	// count on from what a message says.
	numberMax = 1 << 52
)

// A reader takes bytes apart. After the first one that cannot be it is bad and gives zeros.
type reader struct {
	bytes []byte
	bad   bool
}

func (r *reader) take(count int) []byte {
	if r.bad || count < 0 || count > len(r.bytes) {
		r.bad = true
		r.bytes = nil
		return nil
	}
	taken := r.bytes[:count:count]
	r.bytes = r.bytes[count:]
	return taken
}

func (r *reader) u8() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// u64 reads an id, a term or an index.
func (r *reader) u64() uint64 {
	b := r.take(8)
	if b == nil {
		return 0
	}
	v := binary.LittleEndian.Uint64(b)
	if v > numberMax {
		r.bad = true
		return 0
	}
	return v
}

// sized is a view of a length and so many bytes.
func (r *reader) sized() []byte {
	size := r.u32()
	if int(size) < 0 || int(size) > len(r.bytes) {
		r.bad = true
		return nil
	}
	return r.take(int(size))
}

// owned is a copy, nil when there is nothing.
func (r *reader) owned() []byte {
	if b := r.sized(); len(b) > 0 {
		return append([]byte(nil), b...)
	}
	return nil
}

func (r *reader) ids() []uint64 {
	count := r.u32()
	if count > membersMax {
		r.bad = true
	}
	var ids []uint64
	for i := uint32(0); i < count && !r.bad; i++ {
		ids = append(ids, r.u64())
	}
	return ids
}

func (r *reader) hardState() *pb.HardState {
	term, vote, commit := r.u64(), r.u64(), r.u64()
	return &pb.HardState{Term: &term, Vote: &vote, Commit: &commit}
}

func (r *reader) confState() *pb.ConfState {
	autoLeave := r.u8() != 0
	c := &pb.ConfState{AutoLeave: &autoLeave}
	c.Voters, c.Learners = r.ids(), r.ids()
	c.VotersOutgoing, c.LearnersNext = r.ids(), r.ids()
	return c
}

func (r *reader) snapshot() *pb.Snapshot {
	index, term := r.u64(), r.u64()
	meta := &pb.SnapshotMetadata{Index: &index, Term: &term, ConfState: r.confState()}
	return &pb.Snapshot{Metadata: meta, Data: r.owned()}
}

// An entry and what its pointers point to, in one piece.
type entryBox struct {
	entry       pb.Entry
	term, index uint64
	kind        pb.EntryType
}

// entries whose first one has that index; 0: they have none. Their data is copied in one piece.
func (r *reader) entries(first uint64) []*pb.Entry {
	count := r.u32()
	if count > messageEntriesMax || int(count)*entryHeadBytes > len(r.bytes) {
		r.bad = true
	}
	if r.bad || count == 0 {
		return nil
	}
	size := r.entriesSize(count)
	own := reader{bytes: append([]byte(nil), r.take(size)...), bad: r.bad}
	boxes := make([]entryBox, count)
	entries := make([]*pb.Entry, count)
	for i := range boxes {
		box := &boxes[i]
		box.term = own.u64()
		box.kind = pb.EntryType(own.u8())
		box.entry.Term = &box.term
		if first > 0 {
			box.index = first + uint64(i)
			box.entry.Index = &box.index
		}
		// As protobuf would leave it: the library's limits count the encoded size.
		if box.kind != pb.EntryNormal {
			box.entry.Type = &box.kind
		}
		if data := own.sized(); len(data) > 0 {
			box.entry.Data = data
		}
		entries[i] = &box.entry
	}
	r.bad = r.bad || own.bad
	return entries
}

// entriesSize is what so many entries take; too much when they are cut off.
func (r *reader) entriesSize(count uint32) int {
	at := 0
	for range count {
		if at+entryHeadBytes > len(r.bytes) {
			return len(r.bytes) + 1
		}
		size := int(binary.LittleEndian.Uint32(r.bytes[at+entryHeadBytes-4:]))
		if size < 0 || size > len(r.bytes) {
			return len(r.bytes) + 1
		}
		at += entryHeadBytes + size
	}
	return at
}

// proposals are entries that have data only.
func (r *reader) proposals() []*pb.Entry {
	count := r.u32()
	if count > messageEntriesMax || int(count)*4 > len(r.bytes) {
		r.bad = true
	}
	if r.bad {
		return nil
	}
	boxes := make([]pb.Entry, count)
	entries := make([]*pb.Entry, count)
	for i := range boxes {
		boxes[i].Data = r.owned()
		entries[i] = &boxes[i]
	}
	return entries
}

type messageBox struct {
	message                                            pb.Message
	to, from, term, logTerm, index, commit, rejectHint uint64
	kind                                               pb.MessageType
	reject                                             bool
}

func (r *reader) message() *pb.Message {
	b := &messageBox{}
	b.kind = pb.MessageType(r.u8())
	flags := r.u8()
	if flags >= messageHasContext<<1 {
		r.bad = true
	}
	b.reject = flags&messageReject != 0
	b.to, b.from, b.term, b.logTerm = r.u64(), r.u64(), r.u64(), r.u64()
	b.index, b.commit, b.rejectHint = r.u64(), r.u64(), r.u64()
	m := &b.message
	m.Type, m.To, m.From, m.Term, m.LogTerm = &b.kind, &b.to, &b.from, &b.term, &b.logTerm
	m.Index, m.Commit, m.RejectHint, m.Reject = &b.index, &b.commit, &b.rejectHint, &b.reject
	first := b.index + 1
	if b.kind != pb.MsgApp {
		first = 0
	}
	m.Entries = r.entries(first)
	if flags&messageHasContext != 0 {
		m.Context = r.owned()
	}
	if flags&messageHasSnapshot != 0 {
		m.Snapshot = r.snapshot()
	}
	return m
}

func (r *reader) confChange() *pb.ConfChangeV2 {
	count := r.u32()
	if count > membersMax {
		r.bad = true
	}
	change := &pb.ConfChangeV2{}
	for i := uint32(0); i < count && !r.bad; i++ {
		kind, id := pb.ConfChangeType(r.u8()), r.u64()
		change.Changes = append(change.Changes, &pb.ConfChangeSingle{Type: &kind, NodeId: &id})
	}
	change.Context = r.owned()
	return change
}
