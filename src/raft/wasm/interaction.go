//go:build interaction

package main

import (
	"encoding/json"
	"reflect"
	"strings"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

// What etcd's interaction scripts need beside the exports of the product: its other modes, the
// library's descriptions, and the messages of storage threads. Not in the module that is shipped.

// testConfig is what the scripts' add-nodes may set.
type testConfig struct {
	ID, Applied                                    uint64
	ElectionTick, HeartbeatTick, MaxInflightMsgs   int
	MaxCommittedSizePerReady                       uint64
	AsyncStorageWrites, PreVote, CheckQuorum       bool
	DisableConfChangeValidation, StepDownOnRemoval bool
	IsLeaseBased                                   bool
	Voters, Learners                               []uint64
	HardTerm, HardCommit                           uint64
}

// test_open is open for a configuration in JSON.
//
//go:wasmexport test_open
func testOpen(size uint32) int32 {
	c := testConfig{}
	if err := json.Unmarshal(input(size), &c); err != nil {
		return refuse(err.Error()) << 1
	}
	handle := nextHandle()
	config := raft.Config{
		ID: c.ID, Applied: c.Applied,
		ElectionTick: c.ElectionTick, HeartbeatTick: c.HeartbeatTick,
		MaxInflightMsgs: c.MaxInflightMsgs, MaxSizePerMsg: ^uint64(0),
		MaxCommittedSizePerReady: c.MaxCommittedSizePerReady,
		AsyncStorageWrites:       c.AsyncStorageWrites,
		PreVote:                  c.PreVote, CheckQuorum: c.CheckQuorum,
		DisableConfChangeValidation: c.DisableConfChangeValidation,
		StepDownOnRemoval:           c.StepDownOnRemoval,
		Logger:                      hostLogger{},
	}
	if c.IsLeaseBased {
		config.ReadOnlyOption = raft.ReadOnlyLeaseBased
	}
	storage := &hostStorage{
		handle: handle,
		hard:   &pb.HardState{Term: &c.HardTerm, Vote: new(uint64), Commit: &c.HardCommit},
		conf:   &pb.ConfState{Voters: c.Voters, Learners: c.Learners},
	}
	config.Storage = storage
	node, err := raft.NewRawNode(&config)
	if err != nil {
		return refuse(err.Error()) << 1
	}
	take(handle, &group{handle: handle, id: c.ID, node: node, storage: storage})
	return statusOK
}

// testWork is what a storage thread is asked for. Responses are stepped by their number, or as
// bytes when they are for other replicas.
type testWork struct {
	IsAppend  bool
	Text      string
	Responses []testResponse
}

type testResponse struct {
	Text     string
	To, From uint64
	Number   int
	Bytes    []byte
}

var testResponses []*pb.Message

// test_ready gives the library's description of a Ready, the Ready as the product gives it, and
// the work for the storage threads.
//
//go:wasmexport test_ready
func testReady(handle uint32) int32 {
	return on(handle, func(g *group) int32 {
		rd := g.node.Ready()
		answer := struct {
			Text  string
			Ready []byte
			Work  []testWork
		}{Text: raft.DescribeReady(rd, nil)}
		for _, m := range rd.Messages {
			if raft.IsLocalMsgTarget(m.GetTo()) {
				answer.Work = append(answer.Work, g.testWork(m))
			}
		}
		answer.Ready = g.putReady(nil, rd)
		return giveJSON(answer)
	})
}

func (g *group) testWork(m *pb.Message) testWork {
	responses := m.Responses
	m.Responses = nil
	work := testWork{IsAppend: m.GetTo() == raft.LocalAppendThread, Text: describe(m)}
	m.Responses = responses
	for _, r := range responses {
		response := testResponse{Text: describe(r), To: r.GetTo(), Number: -1}
		if r.GetTo() == g.id {
			response.Number = len(testResponses)
			testResponses = append(testResponses, r)
		} else {
			response.From, response.Bytes = r.GetFrom(), putMessage(nil, r)
		}
		work.Responses = append(work.Responses, response)
	}
	return work
}

func describe(m *pb.Message) string { return raft.DescribeMessage(m, nil) }

func giveJSON(value any) int32 {
	text, err := json.Marshal(value)
	if err != nil {
		return refuse(err.Error())
	}
	give(text)
	return statusOK
}

// test_step_response steps a response to the replica itself.
//
//go:wasmexport test_step_response
func testStepResponse(handle, number uint32) int32 {
	return on(handle, func(g *group) int32 { return statusOf(g.node.Step(testResponses[number])) })
}

// test_step is step without the check of what a correct core sends, for scripts that forward
// proposals. The result is the library's error.
//
//go:wasmexport test_step
func testStep(handle, size uint32) int32 {
	return on(handle, func(g *group) int32 {
		r := reader{bytes: input(size)}
		if err := g.node.Step(r.message()); err != nil {
			give([]byte(err.Error()))
		}
		return statusOK
	})
}

//go:wasmexport test_advance
func testAdvance(handle uint32) int32 {
	return on(handle, func(g *group) int32 {
		g.node.Advance(raft.Ready{})
		return statusOK
	})
}

// test_describe describes a message as the receiver reads it.
//
//go:wasmexport test_describe
func testDescribe(size uint32) {
	r := reader{bytes: input(size)}
	give([]byte(describe(r.message())))
}

// test_describe_entries: u64 index of the first one, entries
//
//go:wasmexport test_describe_entries
func testDescribeEntries(size uint32) {
	r := reader{bytes: input(size)}
	first := r.u64()
	give([]byte(raft.DescribeEntries(r.entries(first), nil)))
}

//go:wasmexport test_progress
func testProgress(handle uint32) int32 {
	return on(handle, func(g *group) int32 {
		m := tracker.ProgressMap{}
		for id, p := range g.node.Status().Progress {
			m[id] = &p
		}
		give([]byte(m.String()))
		return statusOK
	})
}

// test_propose_conf_change takes JSON: what scripts can say and the product does not.
//
//go:wasmexport test_propose_conf_change
func testProposeConfChange(handle, size uint32) int32 {
	return on(handle, func(g *group) int32 {
		var asked struct {
			IsV1       bool
			Transition int32
			Changes    string
		}
		if err := json.Unmarshal(input(size), &asked); err != nil {
			return refuse(err.Error())
		}
		changes, err := pb.ConfChangesFromString(strings.TrimSpace(asked.Changes))
		if err != nil {
			return refuse(err.Error())
		}
		transition := pb.ConfChangeTransition(asked.Transition)
		var change pb.ConfChangeI = &pb.ConfChangeV2{Transition: &transition, Changes: changes}
		if asked.IsV1 {
			change = &pb.ConfChange{Type: changes[0].Type, NodeId: changes[0].NodeId}
		}
		return statusOf(g.node.ProposeConfChange(change))
	})
}

// test_forget_leader leaves a leader what it is.
//
//go:wasmexport test_forget_leader
func testForgetLeader(handle uint32) int32 {
	return on(handle, func(g *group) int32 { return statusOf(g.node.ForgetLeader()) })
}

// test_set_election_timeout reaches a private field, as the library's own tests do.
//
//go:wasmexport test_set_election_timeout
func testSetElectionTimeout(handle uint32, ticks int32) int32 {
	return on(handle, func(g *group) int32 {
		node := reflect.ValueOf(g.node).Elem().FieldByName("raft").Elem()
		field := node.FieldByName("randomizedElectionTimeout")
		*(*int)(field.Addr().UnsafePointer()) = int(ticks)
		return statusOK
	})
}
