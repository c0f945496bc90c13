package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"proglog/bench/rpc/client/wire"
)

const (
	produceMethod = "/proglog.v1.LogService/Produce"
	// callMax bounds one call; a longer one is an error.
	callMax = 10 * time.Second
	// failuresMax ends a loop in which nothing works.
	failuresMax = 20
)

// produce runs so many closed loops of unary calls as there are calls in flight.
func produce(ctx context.Context, o options) (result, error) {
	connections, err := dial(o.addr, o.conns, o.stock)
	if err != nil {
		return result{}, err
	}
	request := wire.ProduceRequest(o.topic, values(o))
	start := time.Now().Add(o.warm)
	end := start.Add(o.dur)
	loops := make([]produceLoop, o.inflight)
	var wait sync.WaitGroup
	for at := range loops {
		loop := &loops[at]
		wait.Go(func() {
			loop.run(ctx, connections[at%len(connections)], request, start, end)
		})
	}
	wait.Wait()
	var res result
	var all []time.Duration
	for _, loop := range loops {
		all = append(all, loop.latencies...)
		res.Errors += loop.failures
		if loop.err != nil {
			res.Error = loop.err.Error()
		}
	}
	res.Calls = int64(len(all))
	res.Records = res.Calls * int64(o.batch)
	res.setRates(o.dur)
	res.MBPerSecond = res.RecordsPerSecond * float64(o.size) / 1e6
	res.setLatencies(all)
	return res, nil
}

type produceLoop struct {
	latencies []time.Duration
	failures  int64
	err       error
}

// run counts the calls that were answered between start and end.
func (l *produceLoop) run(
	ctx context.Context, connection *grpc.ClientConn, request []byte, start, end time.Time,
) {
	for l.failures < failuresMax {
		began := time.Now()
		if began.After(end) {
			return
		}
		err := call(ctx, connection, request)
		answered := time.Now()
		if err != nil {
			l.failures++
			l.err = err
		} else if answered.After(start) && answered.Before(end) {
			l.latencies = append(l.latencies, answered.Sub(began))
		}
	}
}

func call(ctx context.Context, connection *grpc.ClientConn, request []byte) error {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	var answer copied
	return connection.Invoke(ctx, produceMethod, request, &answer)
}

// fill appends a number of records, as fast as it goes.
func fill(ctx context.Context, o options) (result, error) {
	connections, err := dial(o.addr, o.conns, o.stock)
	if err != nil {
		return result{}, err
	}
	request := wire.ProduceRequest(o.topic, values(o))
	var left atomic.Int64
	left.Store((o.records + int64(o.batch) - 1) / int64(o.batch))
	var failed atomic.Pointer[error]
	began := time.Now()
	var wait sync.WaitGroup
	for at := range o.inflight {
		wait.Go(func() {
			for failed.Load() == nil && left.Add(-1) >= 0 {
				if err := call(ctx, connections[at%len(connections)], request); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	wait.Wait()
	if err := failed.Load(); err != nil {
		return result{}, fmt.Errorf("Cannot fill the topic: %w", *err)
	}
	res := result{Records: o.records}
	res.setRates(time.Since(began))
	return res, nil
}
