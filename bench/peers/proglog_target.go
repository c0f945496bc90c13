package main

// proglog as a target of the peers' load generator. bench/peers/generator.ts builds it
// beside the other files of the kit's `client/` folder.
//
// Options: `topic` (default "default"); `mode=stream` sends single records through
// one ProduceStream a connection instead of unary calls. Of several addresses the first
// that takes a connection is used, the others when it is lost.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"peers/client/wire"
)

const (
	logService = "/proglog.v1.LogService/"
	// windowBytes is flow control's window of a stream and of a connection: a reader
	// that catches up says so, as Kafka's client does with its fetch sizes.
	windowBytes     = 8 << 20
	messageBytesMax = 64 << 20
	// retryEvery is how soon a connection is tried again, as in the other targets.
	retryEvery = 20 * time.Millisecond
	connectMax = 5 * time.Second
	// unansweredMax is more than any workload has in flight on one connection.
	unansweredMax = 4096
)

type proglogTarget struct {
	connections []*grpc.ClientConn
	topic       string
	streams     []*appendStream
}

func init() {
	makers["proglog"] = func(ctx context.Context, cfg config) (target, error) {
		t := &proglogTarget{topic: cfg.opts["topic"]}
		if t.topic == "" {
			t.topic = "default"
		}
		for range cfg.conns {
			connection, err := dialProglog(cfg.addrs)
			if err != nil {
				return nil, err
			}
			t.connections = append(t.connections, connection)
			if cfg.opts["mode"] != "stream" {
				continue
			}
			stream, err := openAppendStream(connection)
			if err != nil {
				return nil, err
			}
			t.streams = append(t.streams, stream)
		}
		return t, nil
	}
}

func dialProglog(addresses []string) (*grpc.ClientConn, error) {
	servers := manual.NewBuilderWithScheme("servers")
	state := resolver.State{}
	for _, address := range addresses {
		state.Addresses = append(state.Addresses, resolver.Address{Addr: address})
	}
	servers.InitialState(state)
	retry := backoff.Config{BaseDelay: retryEvery, Multiplier: 1, MaxDelay: retryEvery}
	return grpc.NewClient("servers:///proglog", grpc.WithResolvers(servers),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithInitialWindowSize(windowBytes), grpc.WithInitialConnWindowSize(windowBytes),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: retry, MinConnectTimeout: connectMax}),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(messageCodec{}), grpc.MaxCallRecvMsgSize(messageBytesMax)))
}

// messageCodec sends []byte as it is, and hands a received message to a function, which
// may not keep it: grpc-go's own codec decodes from the same pooled buffer.
type messageCodec struct{}

func (messageCodec) Name() string { return "proto" }

func (messageCodec) Marshal(message any) (mem.BufferSlice, error) {
	bytes, ok := message.([]byte)
	if !ok {
		return nil, fmt.Errorf("Cannot send a %T: only []byte", message)
	}
	return mem.BufferSlice{mem.SliceBuffer(bytes)}, nil
}

func (messageCodec) Unmarshal(data mem.BufferSlice, into any) error {
	take, ok := into.(func(message []byte) error)
	if !ok {
		return fmt.Errorf("Cannot receive into a %T: only a function", into)
	}
	message := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer message.Free()
	return take(message.ReadOnlyData())
}

func ignored([]byte) error { return nil }

func (t *proglogTarget) setup(context.Context) error { return nil }

func (t *proglogTarget) appendOne(ctx context.Context, conn int, value []byte) error {
	return t.appendBatch(ctx, conn, [][]byte{value})
}

func (t *proglogTarget) appendBatch(ctx context.Context, conn int, values [][]byte) error {
	request := wire.ProduceRequest(t.topic, values)
	if t.streams != nil {
		return t.streams[conn].append(ctx, request)
	}
	return t.connections[conn].Invoke(ctx, logService+"Produce", request, ignored)
}

// subscribe is in place when the first message came, which the server sends at once.
func (t *proglogTarget) subscribe(
	ctx context.Context, _ int, ready func(), fn func(value []byte),
) error {
	return t.read(ctx, wire.TailRequest(t.topic), ready, func(value []byte) bool {
		fn(value)
		return true
	})
}

func (t *proglogTarget) scan(ctx context.Context, n int) (records, bytes int, err error) {
	request := wire.ReadRequest(t.topic, 0)
	err = t.read(ctx, request, func() {}, func(value []byte) bool {
		records++
		bytes += len(value)
		return records < n
	})
	return records, bytes, err
}

// read calls ready after each message, and fn for each record until it returns false.
func (t *proglogTarget) read(
	ctx context.Context, request []byte, ready func(), fn func(value []byte) bool,
) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	description := &grpc.StreamDesc{ServerStreams: true}
	stream, err := t.connections[0].NewStream(ctx, description, logService+"ConsumeStream")
	if err != nil {
		return err
	}
	if err := stream.SendMsg(request); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	more := true
	take := func(message []byte) error {
		return wire.EachValue(message, func(value []byte) { more = more && fn(value) })
	}
	for ; more; ready() {
		if err := stream.RecvMsg(take); err != nil {
			return err
		}
	}
	return nil
}

func (t *proglogTarget) close() {
	for _, connection := range t.connections {
		connection.Close()
	}
}

// appendStream is one ProduceStream that many goroutines append to: answers come in
// the order sent.
type appendStream struct {
	stream  grpc.ClientStream
	mutex   sync.Mutex
	waiting chan chan error
}

func openAppendStream(connection *grpc.ClientConn) (*appendStream, error) {
	description := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	stream, err := connection.NewStream(
		context.Background(), description, logService+"ProduceStream")
	if err != nil {
		return nil, err
	}
	s := &appendStream{stream: stream, waiting: make(chan chan error, unansweredMax)}
	go s.receive()
	return s, nil
}

func (s *appendStream) append(ctx context.Context, request []byte) error {
	message := wire.ProduceStreamRequest(request)
	answered := make(chan error, 1)
	s.mutex.Lock()
	s.waiting <- answered
	err := s.stream.SendMsg(message)
	s.mutex.Unlock()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	select {
	case err := <-answered:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *appendStream) receive() {
	take := func(message []byte) error {
		count, err := wire.CountAcknowledgements(message)
		for range count {
			(<-s.waiting) <- nil
		}
		return err
	}
	for {
		if err := s.stream.RecvMsg(take); err != nil {
			for answered := range s.waiting {
				answered <- err
			}
			return
		}
	}
}
