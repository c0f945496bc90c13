// Command porcupine reads a history of client operations as JSON lines (see ../history.ts) from its
// standard input and says whether each topic behaved as one log that does one thing at a time.
//
//	exit 0  it did: "ok, T topics, N operations"
//	exit 1  it did not: a line for each topic that did not, and what could not be placed
//	exit 2  the history cannot be read
//	exit 3  the time limit came first
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	exitOk = iota
	exitViolation
	exitUnreadable
	exitTimeLimit
)

// Operations that are named of those that could not be placed, and how long.
const (
	namedMax     = 6
	describedMax = 200
)

func main() {
	timeout := flag.Duration("timeout", time.Minute, "time limit for each topic")
	flag.Parse()
	os.Exit(run(os.Stdin, os.Stdout, *timeout))
}

func run(in io.Reader, out io.Writer, timeout time.Duration) int {
	topics, err := readHistory(in)
	if err != nil {
		fmt.Fprintf(out, "unreadable: %v\n", err)
		return exitUnreadable
	}
	names := make([]string, 0, len(topics))
	for name := range topics {
		names = append(names, name)
	}
	sort.Strings(names)
	code, count := exitOk, 0
	for _, name := range names {
		operations := topics[name].operations()
		count += len(operations)
		switch porcupine.CheckOperationsTimeout(logModel, operations, timeout) {
		case porcupine.Illegal:
			code = exitViolation
			fmt.Fprintf(out, "violation in %s: %s\n", name, explain(operations, timeout))
		case porcupine.Unknown:
			if code == exitOk {
				code = exitTimeLimit
			}
			fmt.Fprintf(out, "time limit in %s: %d operations\n", name, len(operations))
		}
	}
	if code == exitOk {
		fmt.Fprintf(out, "ok, %d topics, %d operations\n", len(names), count)
	}
	return code
}

// explain names the first operations that the longest order that was found has no place for.
func explain(operations []porcupine.Operation, timeout time.Duration) string {
	_, info := porcupine.CheckOperationsVerbose(logModel, operations, timeout)
	var longest []porcupine.Operation
	for _, partition := range info.PartialLinearizationsOperations() {
		for _, order := range partition {
			if len(order) > len(longest) {
				longest = order
			}
		}
	}
	placed := make(map[int64]bool, len(longest))
	state := logModel.Init()
	for _, operation := range longest {
		placed[operation.Call] = true
		_, state = logModel.Step(state, operation.Input, operation.Output)
	}
	text := fmt.Sprintf("%d of %d operations give %s; no place for:",
		len(longest), len(operations), logModel.DescribeState(state))
	named := 0
	for _, operation := range operations {
		if placed[operation.Call] {
			continue
		}
		if named++; named > namedMax {
			return text + " ..."
		}
		described := logModel.DescribeOperation(operation.Input, operation.Output)
		if len(described) > describedMax {
			described = described[:describedMax] + " ..."
		}
		text += "\n  " + described
	}
	return text
}
