package main

import (
	"errors"
	"unsafe"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// The host's log of a group. Nothing here fails but with "compacted": the host keeps its own
// failures and raises them after the call.

//go:wasmimport host first_index
func hostFirstIndex(handle uint32) float64

//go:wasmimport host last_index
func hostLastIndex(handle uint32) float64

// The term, hostCompacted or hostBeyond.
//
//go:wasmimport host term
func hostTerm(handle uint32, index float64) float64

// Writes entries (as in a message) for [from, end) at the address. The length, hostCompacted, or
// the negated length that they would take when there is not so much room.
//
//go:wasmimport host entries
func hostEntries(handle uint32, from, end, bytesMax float64, at unsafe.Pointer, room uint32) int32

// As entries; hostCompacted when there is none now.
//
//go:wasmimport host snapshot
func hostSnapshot(handle uint32, at unsafe.Pointer, room uint32) int32

const (
	hostCompacted = -1
	hostBeyond    = -2
)

type hostStorage struct {
	handle uint32
	hard   *pb.HardState
	conf   *pb.ConfState
}

var _ raft.Storage = (*hostStorage)(nil)

func (s *hostStorage) InitialState() (*pb.HardState, *pb.ConfState, error) {
	return s.hard, s.conf, nil
}

func (s *hostStorage) FirstIndex() (uint64, error) { return uint64(hostFirstIndex(s.handle)), nil }

func (s *hostStorage) LastIndex() (uint64, error) { return uint64(hostLastIndex(s.handle)), nil }

func (s *hostStorage) Term(index uint64) (uint64, error) {
	switch term := hostTerm(s.handle, float64(index)); term {
	case hostCompacted:
		return 0, raft.ErrCompacted
	case hostBeyond:
		return 0, raft.ErrUnavailable
	default:
		return uint64(term), nil
	}
}

func (s *hostStorage) Entries(from, end, bytesMax uint64) ([]*pb.Entry, error) {
	bytes, isThere := ask(func(at unsafe.Pointer, room uint32) int32 {
		return hostEntries(s.handle, float64(from), float64(end), float64(bytesMax), at, room)
	})
	if !isThere {
		return nil, raft.ErrCompacted
	}
	r := reader{bytes: bytes}
	entries := r.entries(from)
	if r.bad || len(entries) == 0 {
		return nil, errors.New("the host's entries are malformed")
	}
	return entries, nil
}

func (s *hostStorage) Snapshot() (*pb.Snapshot, error) {
	bytes, isThere := ask(func(at unsafe.Pointer, room uint32) int32 {
		return hostSnapshot(s.handle, at, room)
	})
	if !isThere {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	r := reader{bytes: bytes}
	snapshot := r.snapshot()
	if r.bad {
		return nil, errors.New("the host's snapshot is malformed")
	}
	return snapshot, nil
}

var answer = make([]byte, inBufBytes)

// ask lets the host write into answer, which grows when it is too small.
func ask(question func(at unsafe.Pointer, room uint32) int32) ([]byte, bool) {
	for {
		size := question(unsafe.Pointer(unsafe.SliceData(answer)), uint32(len(answer)))
		if size >= 0 {
			return answer[:size], true
		}
		if size == hostCompacted {
			return nil, false
		}
		answer = make([]byte, -size)
	}
}
