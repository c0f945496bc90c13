// Command proglog-bench loads a server over gRPC. One run is one workload: it
// prints one line of JSON and ends. Every run is bounded by -dur or -records, and
// only loopback addresses are called.
//
//	proglog-bench produce -addr 127.0.0.1:8400 -inflight 50 -conns 4
//	proglog-bench produce -addr 127.0.0.1:8400 -inflight 16 -batch 100
//	proglog-bench produce-stream -addr 127.0.0.1:8400 -window 512
//	proglog-bench fill -addr 127.0.0.1:8400 -records 1000000 -batch 1000
//	proglog-bench consume -addr 127.0.0.1:8400 -records 1000000
//	proglog-bench tails -addr 127.0.0.1:8400 -subs 100 -rate 50
//	proglog-bench hold -addr 127.0.0.1:8400 -subs 1000      until standard input ends
//	proglog-bench serve                                     a grpc-go server in memory
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"time"
)

// durMax bounds a run whatever was asked for.
const durMax = 60 * time.Second

// workloadMax bounds workloads that end by a number of records.
const workloadMax = 5 * time.Minute

type options struct {
	addr     string
	topic    string
	conns    int
	inflight int
	batch    int
	size     int
	window   int
	records  int64
	subs     int
	rate     int
	dur      time.Duration
	warm     time.Duration
	stock    bool
}

var workloads = map[string]func(context.Context, options) (result, error){
	"produce":        produce,
	"produce-stream": produceStream,
	"fill":           fill,
	"consume":        consume,
	"tails":          tails,
	"hold":           hold,
	"serve":          serve,
}

func main() {
	if len(os.Args) < 2 || workloads[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: proglog-bench produce|produce-stream|fill|consume|tails|hold|serve [flags]")
		os.Exit(2)
	}
	name := os.Args[1]
	opts := parse(name, os.Args[2:])
	ctx, cancel := context.WithTimeout(context.Background(), workloadMax)
	defer cancel()
	cpu := cpuSeconds()
	res, err := workloads[name](ctx, opts)
	res.Workload = name
	res.ClientCPUSeconds = cpuSeconds() - cpu
	if err != nil {
		res.Errors++
		res.Error = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(res); err != nil || res.Errors > 0 {
		os.Exit(1)
	}
}

func parse(name string, args []string) options {
	var o options
	flags := flag.NewFlagSet(name, flag.ExitOnError)
	flags.StringVar(&o.addr, "addr", "127.0.0.1:8400", "server, a loopback address")
	flags.StringVar(&o.topic, "topic", "default", "topic")
	flags.IntVar(&o.conns, "conns", 1, "connections")
	flags.IntVar(&o.inflight, "inflight", 1, "calls in flight, over all connections")
	flags.IntVar(&o.batch, "batch", 1, "records of a call")
	flags.IntVar(&o.size, "size", 100, "bytes of a record's value")
	flags.IntVar(&o.window, "window", 256, "records of a stream without an answer (produce-stream)")
	flags.Int64Var(&o.records, "records", 1_000_000, "records (fill, consume)")
	flags.IntVar(&o.subs, "subs", 1, "tails (tails, hold)")
	flags.IntVar(&o.rate, "rate", 50, "appends a second, open loop (tails)")
	flags.DurationVar(&o.dur, "dur", 3*time.Second, "length of the run, at most 60s")
	flags.DurationVar(&o.warm, "warm", 500*time.Millisecond, "time before that is not counted")
	flags.BoolVar(&o.stock, "stock", false, "flow control windows as grpc-go sets them by itself")
	_ = flags.Parse(args)
	o.dur = min(o.dur, durMax)
	mustBeLoopback(o.addr)
	if o.conns < 1 || o.inflight < 1 || o.batch < 1 || o.subs < 1 || o.window < 1 || o.rate < 1 {
		fmt.Fprintln(os.Stderr, "Cannot run: numbers must be 1 or more")
		os.Exit(2)
	}
	return o
}

func mustBeLoopback(addr string) {
	host, _, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		fmt.Fprintf(os.Stderr, "Cannot load %s: only loopback addresses\n", addr)
		os.Exit(2)
	}
}
