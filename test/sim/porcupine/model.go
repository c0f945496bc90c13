package main

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// batch is the end of a log: the last batch, and what was there before. Never changed, so that states share it.
type batch struct {
	number int
	first  int
	count  int
	hash   uint64
	before *batch
}

// logState is one topic: the records in [start, next) can be read.
type logState struct {
	start int
	next  int
	last  *batch
}

var logModel = porcupine.Model{
	Init: func() interface{} { return logState{} },
	Step: func(state, input, _ interface{}) (bool, interface{}) {
		before := state.(logState)
		isPossible, after := before.step(input.(*operation))
		return isPossible, after
	},
	Equal: func(left, right interface{}) bool { return left.(logState).key() == right.(logState).key() },
	Hash:  func(state interface{}) uint64 { return mix(state.(logState).key().hash, uint64(state.(logState).next)) },
	DescribeOperation: func(input, _ interface{}) string {
		return input.(*operation).describe()
	},
	DescribeState: func(state interface{}) string {
		s := state.(logState)
		return fmt.Sprintf("offsets %d to %d", s.start, s.next)
	},
}

type stateKey struct {
	start int
	next  int
	hash  uint64
}

func (s logState) key() stateKey {
	if s.last == nil {
		return stateKey{s.start, s.next, 0}
	}
	return stateKey{s.start, s.next, s.last.hash}
}

func (s logState) step(one *operation) (bool, logState) {
	switch one.Op {
	case "produce":
		return s.produce(one)
	case "trim":
		return s.trim(one)
	case "end":
		return one.Outcome != "ok" || (s.next == one.Next && s.start == one.Start), s
	case "read":
		return one.Outcome != "ok" || s.reads(one), s
	case "resend":
		return one.Outcome != "ok" || one.First < s.start || s.has(one), s
	}
	return false, s
}

// produce: all or nothing, at the end. A refusal for its condition tells that the condition did not hold.
func (s logState) produce(one *operation) (bool, logState) {
	isMet := one.Expected == nil || *one.Expected == s.next
	switch one.Outcome {
	case "ok":
		return isMet && one.First == s.next, s.append(one.Batch, one.Count)
	case "none":
		return one.Reason != "OFFSET_MISMATCH" || !isMet, s
	}
	if !isMet {
		return true, s
	}
	return true, s.append(one.Batch, one.Count)
}

func (s logState) trim(one *operation) (bool, logState) {
	isInRange := one.Before <= s.next
	switch one.Outcome {
	case "ok":
		after := s.trimmed(one.Before)
		return isInRange && after.start == one.Start, after
	case "none":
		return one.Reason != "OFFSET_OUT_OF_RANGE" || !isInRange, s
	}
	if !isInRange {
		return true, s
	}
	return true, s.trimmed(one.Before)
}

func (s logState) append(number, count int) logState {
	made := &batch{number: number, first: s.next, count: count, before: s.last}
	made.hash = mix(mix(s.key().hash, uint64(number)), uint64(s.next)<<20+uint64(count))
	return logState{start: s.start, next: s.next + count, last: made}
}

func (s logState) trimmed(before int) logState {
	return logState{start: max(s.start, before), next: s.next, last: s.last}
}

// reads says whether the read gave what is there: the records from where it began, and where the log ends.
func (s logState) reads(one *operation) bool {
	end := one.From + len(one.Records)
	if s.next != one.Next || one.From < s.start || end > s.next {
		return false
	}
	for at := s.last; at != nil && at.first+at.count > one.From; at = at.before {
		for place := range at.count {
			offset := at.first + place
			if offset < one.From || offset >= end {
				continue
			}
			if one.Records[offset-one.From] != [2]int{at.number, place} {
				return false
			}
		}
	}
	return true
}

func (s logState) has(one *operation) bool {
	for at := s.last; at != nil && at.first >= one.First; at = at.before {
		if at.first == one.First {
			return at.number == one.Batch && at.count == one.Count
		}
	}
	return false
}

func (one *operation) describe() string {
	text := fmt.Sprintf("line %d to %d: %s", one.line, one.end, one.Op)
	switch one.Op {
	case "produce", "resend":
		text += fmt.Sprintf(" batch %d of %d", one.Batch, one.Count)
		if one.Expected != nil {
			text += fmt.Sprintf(" expected at %d", *one.Expected)
		}
	case "read":
		text += fmt.Sprintf(" from %d", one.From)
	case "trim":
		text += fmt.Sprintf(" before %d", one.Before)
	}
	text += " -> " + one.Outcome
	if one.Outcome != "ok" {
		return text + " " + one.Reason
	}
	switch one.Op {
	case "produce", "resend":
		return text + fmt.Sprintf(" first %d", one.First)
	case "read":
		return text + fmt.Sprintf(" %v, next %d", one.Records, one.Next)
	}
	return text + fmt.Sprintf(" start %d, next %d", one.Start, one.Next)
}

func mix(hash, value uint64) uint64 {
	hash ^= value + 0x9e3779b97f4a7c15 + hash<<6 + hash>>2
	return hash * 0xff51afd7ed558ccd
}
