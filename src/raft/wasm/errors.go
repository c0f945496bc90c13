package main

import (
	"errors"
	"fmt"

	"go.etcd.io/raft/v3"
)

// How a call went.
const (
	statusOK = iota
	// Refused by the library now; may be asked again.
	statusDropped
	// A message that says nothing to this group: normal.
	statusIgnored
	// Bytes that are no message, or one that no correct core sends.
	statusMalformed
	// The library panicked, now or before: the group is of no use. The text is the result.
	statusFailed
	// What the host asked for cannot be. The text is the result.
	statusRefused
)

func statusOf(err error) int32 {
	switch {
	case err == nil:
		return statusOK
	case errors.Is(err, raft.ErrProposalDropped):
		return statusDropped
	case errors.Is(err, raft.ErrStepLocalMsg):
		return statusMalformed
	case errors.Is(err, raft.ErrStepPeerNotFound):
		return statusIgnored
	}
	return refuse(err.Error())
}

func refuse(text string) int32 {
	give(append(out[:0], text...))
	return statusRefused
}

// on runs work on a group. A panic of the library stops that group only.
func on(handle uint32, work func(*group) int32) (code int32) {
	g := find(handle)
	if g == nil {
		return refuse("no such group") << 1
	}
	if g.failure != "" {
		give(append(out[:0], g.failure...))
		return statusFailed << 1
	}
	defer func() {
		if p := recover(); p != nil {
			code = g.fail(p) << 1
		}
	}()
	result.length = 0
	status := work(g)
	return status<<1 | bit(g.node.HasReady(), 1)
}

// fail makes a group unusable for good; what it held can be freed.
func (g *group) fail(reason any) int32 {
	g.failure = fmt.Sprint(reason)
	if g.failure == "" {
		g.failure = "panic without a text"
	}
	g.node, g.appends, g.applies = nil, nil, nil
	give(append(out[:0], g.failure...))
	return statusFailed
}
