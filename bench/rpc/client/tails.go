package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"proglog/bench/rpc/client/wire"
)

const (
	// stampMagic marks the records of this run among those of others.
	stampMagic = 0x70726f67
	stampBytes = 12
	// settle is the time between the last tail's opening and the first append.
	settle = 300 * time.Millisecond
	// lateMax is how long deliveries may come after the last append.
	lateMax = 3 * time.Second
)

// epoch is what stamps are counted from, on the monotonic clock.
var epoch = time.Now()

// tails opens tails and appends at a fixed rate, whatever the answers do: latency is
// from before the call until the record is delivered to each of the tails.
func tails(ctx context.Context, o options) (result, error) {
	connections, err := dial(o.addr, o.conns, o.stock)
	if err != nil {
		return result{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	readers, err := openTails(ctx, connections, o)
	if err != nil {
		return result{}, err
	}
	var running sync.WaitGroup
	var delivered atomic.Int64
	begin := time.Since(epoch) + settle + o.warm
	for _, reader := range readers {
		running.Go(func() { reader.run(begin, &delivered) })
	}
	time.Sleep(settle)
	sent, failed := appendAtRate(ctx, o, begin)
	wanted := sent * int64(len(readers))
	for late := time.Now(); delivered.Load() < wanted && time.Since(late) < lateMax; {
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	running.Wait()
	res := result{Calls: sent, Errors: failed}
	var all []time.Duration
	for _, reader := range readers {
		all = append(all, reader.latencies...)
	}
	res.Records = int64(len(all))
	res.Lost = wanted - res.Records
	res.setRates(o.dur)
	res.setLatencies(all)
	return res, nil
}

type tail struct {
	stream    grpc.ClientStream
	latencies []time.Duration
}

// openTails returns when every tail has its first message, which comes at once.
func openTails(ctx context.Context, connections []*grpc.ClientConn, o options) ([]*tail, error) {
	request := wire.TailRequest(o.topic)
	readers := make([]*tail, o.subs)
	for at := range readers {
		stream, err := openTail(ctx, connections[at%len(connections)], request)
		if err != nil {
			return nil, err
		}
		readers[at] = &tail{stream: stream}
	}
	for _, reader := range readers {
		var first copied
		if err := reader.stream.RecvMsg(&first); err != nil {
			return nil, fmt.Errorf("Cannot open a tail: %w", err)
		}
	}
	return readers, nil
}

// run takes records until the stream ends; it counts those stamped at begin or later.
func (t *tail) run(begin time.Duration, delivered *atomic.Int64) {
	var message copied
	for t.stream.RecvMsg(&message) == nil {
		now := time.Since(epoch)
		_ = wire.EachValue(message.bytes, func(value []byte) {
			if len(value) < stampBytes || binary.LittleEndian.Uint32(value[8:]) != stampMagic {
				return
			}
			stamp := time.Duration(binary.LittleEndian.Uint64(value))
			if stamp >= begin {
				t.latencies = append(t.latencies, now-stamp)
				delivered.Add(1)
			}
		})
	}
}

// appendAtRate returns the acknowledged appends that count, and the failed ones.
func appendAtRate(ctx context.Context, o options, begin time.Duration) (int64, int64) {
	connections, err := dial(o.addr, 1, o.stock)
	if err != nil {
		return 0, 1
	}
	var sent, failed atomic.Int64
	var calls sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(o.rate))
	defer tick.Stop()
	for end := begin + o.dur; ; {
		<-tick.C
		value := payload(max(o.size, stampBytes))
		stamp := time.Since(epoch)
		if stamp > end {
			break
		}
		binary.LittleEndian.PutUint64(value, uint64(stamp))
		binary.LittleEndian.PutUint32(value[8:], stampMagic)
		calls.Go(func() {
			if err := call(ctx, connections[0], wire.ProduceRequest(o.topic, [][]byte{value})); err != nil {
				failed.Add(1)
			} else if stamp >= begin {
				sent.Add(1)
			}
		})
	}
	calls.Wait()
	return sent.Load(), failed.Load()
}

// hold opens tails, says "ready" and keeps them open until standard input ends, so
// that another process can look at the server meanwhile.
func hold(ctx context.Context, o options) (result, error) {
	connections, err := dial(o.addr, o.conns, o.stock)
	if err != nil {
		return result{}, err
	}
	readers, err := openTails(ctx, connections, o)
	if err != nil {
		return result{}, err
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return result{Calls: int64(len(readers))}, nil
}
