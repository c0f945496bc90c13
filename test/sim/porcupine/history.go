package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"sort"

	"github.com/anishathalye/porcupine"
)

const lineBytesMax = 64 << 20

// Of a topic whose final content is not known, because it was deleted: with more operations that may have had an
// effect or not there are too many orders to try.
const unknownsMax = 12

// event is one line: an operation begins, it ends, or a topic is read as it was when all was over. Only what
// belongs to its kind is set.
type event struct {
	Event string `json:"event"`
	Id    int    `json:"id"`
	Topic string `json:"topic"`
	// produce, resend, read, end, trim
	Op string `json:"op"`

	// produce, resend
	Batch    int  `json:"batch"`
	Count    int  `json:"count"`
	Expected *int `json:"expected"`
	// trim
	Before int `json:"before"`

	// ok, none, unknown
	Outcome string `json:"outcome"`
	Reason  string `json:"reason"`
	// produce, resend
	First int `json:"first"`
	// read, end, trim, final
	Start int `json:"start"`
	Next  int `json:"next"`
	// read: batch and place in it of each record, from an offset on
	From    int      `json:"from"`
	Records [][2]int `json:"records"`
	// final: all records that ever were, from offset 0 on
	All [][2]int `json:"all"`
}

// operation is what the model sees of one: input and output in one, for they explain each other.
type operation struct {
	event
	line  int
	end   int
	isEnd bool
}

type topic struct {
	all   []*operation
	final *event
	// Line of the final read.
	finalLine int
}

func readHistory(in io.Reader) (map[string]*topic, error) {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(make([]byte, 0, 1<<16), lineBytesMax)
	topics := map[string]*topic{}
	open := map[int]*operation{}
	for line := 1; scanner.Scan(); line++ {
		var one event
		if err := json.Unmarshal(scanner.Bytes(), &one); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if err := take(topics, open, one, line); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
	return topics, scanner.Err()
}

func take(topics map[string]*topic, open map[int]*operation, one event, line int) error {
	switch one.Event {
	case "invoke":
		if open[one.Id] != nil {
			return fmt.Errorf("operation %d begins twice", one.Id)
		}
		begun := &operation{event: one, line: line}
		open[one.Id] = begun
		topicOf(topics, one.Topic).add(begun)
	case "return":
		begun := open[one.Id]
		if begun == nil || begun.isEnd {
			return fmt.Errorf("operation %d ends and is not under way", one.Id)
		}
		begun.isEnd, begun.end = true, line
		begun.Outcome, begun.Reason = one.Outcome, one.Reason
		begun.First, begun.Start, begun.Next = one.First, one.Start, one.Next
		begun.From, begun.Records = one.From, one.Records
	case "final":
		if one.Start < 0 || one.Start > len(one.All) || one.Next != len(one.All) {
			return fmt.Errorf("%d records from 0 to %d", len(one.All), one.Next)
		}
		found := topicOf(topics, one.Topic)
		found.final, found.finalLine = &one, line
	default:
		return fmt.Errorf("unknown event %q", one.Event)
	}
	return nil
}

func topicOf(topics map[string]*topic, name string) *topic {
	if topics[name] == nil {
		topics[name] = &topic{}
	}
	return topics[name]
}

func (t *topic) add(one *operation) {
	t.all = append(t.all, one)
}

// operations gives what must be placed. An operation whose outcome is not known may take effect at any time after
// its beginning; where the topic's final content tells what became of it, that is used, for without it each such
// operation doubles the orders to try.
func (t *topic) operations() []porcupine.Operation {
	firsts := t.finalFirsts()
	var result []porcupine.Operation
	unknowns := 0
	for _, one := range t.all {
		if !one.isEnd {
			one.Outcome = "unknown"
		}
		call, end := int64(one.line), int64(one.end)
		if one.Outcome == "unknown" {
			end = math.MaxInt64
			if one.Op == "read" || one.Op == "end" || one.Op == "resend" {
				continue
			}
			if one.Op == "produce" && t.final != nil {
				first, isThere := firsts[one.Batch]
				if !isThere {
					continue
				}
				if isThere {
					one.Outcome, one.First = "ok", first
				}
			}
		}
		if one.Outcome == "unknown" {
			unknowns++
		}
		if one.Outcome == "none" && one.Reason != "OFFSET_MISMATCH" && one.Reason != "OFFSET_OUT_OF_RANGE" {
			continue
		}
		result = append(result, porcupine.Operation{Input: one, Call: call, Output: one, Return: end})
	}
	if t.final == nil && unknowns > unknownsMax {
		return nil
	}
	if t.final != nil {
		read := &operation{event: *t.final, line: t.finalLine, end: t.finalLine, isEnd: true}
		read.Op, read.Outcome, read.From = "read", "ok", read.Start
		read.Records = read.All[read.Start:]
		at := int64(t.finalLine)
		result = append(result, porcupine.Operation{Input: read, Call: at, Output: read, Return: at})
	}
	sort.SliceStable(result, func(i, j int) bool { return result[i].Call < result[j].Call })
	return result
}

// finalFirsts says where each batch begins that is there in the end.
func (t *topic) finalFirsts() map[int]int {
	firsts := map[int]int{}
	if t.final == nil {
		return firsts
	}
	for at, record := range t.final.All {
		firsts[record[0]] = at - record[1]
	}
	return firsts
}
