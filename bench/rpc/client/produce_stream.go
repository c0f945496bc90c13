package main

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	"proglog/bench/rpc/client/wire"
)

const produceStreamMethod = "/proglog.v1.LogService/ProduceStream"

// produceStream sends batches through one stream a connection, each its own
// message, with at most a window of records unanswered.
func produceStream(ctx context.Context, o options) (result, error) {
	connections, err := dial(o.addr, o.conns, o.stock)
	if err != nil {
		return result{}, err
	}
	start := time.Now().Add(o.warm)
	end := start.Add(o.dur)
	streams := make([]producingStream, len(connections))
	var wait sync.WaitGroup
	for at, connection := range connections {
		wait.Go(func() {
			streams[at] = producingStream{start: start, end: end}
			streams[at].err = streams[at].run(ctx, connection, o)
		})
	}
	wait.Wait()
	var res result
	var all []time.Duration
	for _, stream := range streams {
		if stream.err != nil {
			res.Errors++
			res.Error = stream.err.Error()
		}
		all = append(all, stream.latencies...)
		res.Records += stream.counted * int64(o.batch)
	}
	res.Calls = int64(len(connections))
	res.setRates(o.dur)
	res.MBPerSecond = res.RecordsPerSecond * float64(o.size) / 1e6
	res.setLatencies(all)
	return res, nil
}

type producingStream struct {
	start, end time.Time
	// counted is the batches answered between start and end.
	counted   int64
	latencies []time.Duration
	err       error
}

func (p *producingStream) run(ctx context.Context, connection *grpc.ClientConn, o options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	description := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	stream, err := connection.NewStream(ctx, description, produceStreamMethod)
	if err != nil {
		return err
	}
	batches := max(1, o.window/o.batch)
	sentAt := make(chan time.Time, batches)
	sending := make(chan error, 1)
	go func() {
		defer close(sentAt)
		sending <- p.send(ctx, stream, sentAt, o)
	}()
	received := p.receive(stream, sentAt)
	cancel()
	return errors.Join(received, <-sending)
}

// send puts the time of every message into a channel whose room is the window.
func (p *producingStream) send(
	ctx context.Context, stream grpc.ClientStream, sentAt chan<- time.Time, o options,
) error {
	first := wire.ProduceStreamRequest(wire.ProduceRequest(o.topic, values(o)))
	later := wire.ProduceStreamRequest(wire.ProduceRequest("", values(o)))
	for message := first; ; message = later {
		now := time.Now()
		if now.After(p.end) {
			return stream.CloseSend()
		}
		select {
		case sentAt <- now:
		case <-ctx.Done():
			return nil
		}
		if err := stream.SendMsg(message); err != nil && !errors.Is(err, io.EOF) {
			return err
		} else if err != nil {
			return nil // the receiving side has the reason
		}
	}
}

func (p *producingStream) receive(stream grpc.ClientStream, sentAt <-chan time.Time) error {
	for {
		var answers acknowledgements
		if err := stream.RecvMsg(&answers); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		now := time.Now()
		for range answers.count {
			sent := <-sentAt
			if now.After(p.start) && now.Before(p.end) {
				p.counted++
				p.latencies = append(p.latencies, now.Sub(sent))
			}
		}
	}
}

// acknowledgements counts those of a ProduceStreamResponse.
type acknowledgements struct{ count int }

func (a *acknowledgements) take(message mem.BufferSlice) (err error) {
	a.count, err = wire.CountAcknowledgements(message.Materialize())
	return err
}
