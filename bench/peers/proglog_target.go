package main

// proglog as a target of the peers' load generator, beside the other files of its
// `client/` folder, whose helpers `field`, `num`, `each` and `dialRaw` it uses.
//
// Options: `topic` (default "default"); `mode=stream` sends single records through
// one ProduceStream a connection instead of unary calls.

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
)

const logService = "/proglog.v1.LogService/"

// Fields of proto/proglog/v1.
const (
	fieldTopic       = 1 // of every request
	fieldRecords     = 2 // ProduceRequest
	fieldValue       = 2 // Record
	fieldOffset      = 2 // ConsumeStreamRequest
	fieldLastRecords = 3 // ConsumeStreamRequest
	fieldBatches     = 1 // ProduceStreamRequest
	fieldAnswers     = 1 // ProduceStreamResponse
	fieldConsumed    = 1 // ConsumeStreamResponse
	fieldRecord      = 3 // ConsumedRecord
)

type proglogTarget struct {
	connections []*grpc.ClientConn
	topic       []byte
	streams     []*appendStream
}

func init() {
	makers["proglog"] = func(ctx context.Context, cfg config) (target, error) {
		connections, err := dialRaw(cfg)
		if err != nil {
			return nil, err
		}
		t := &proglogTarget{connections: connections, topic: []byte(cfg.opts["topic"])}
		if len(t.topic) == 0 {
			t.topic = []byte("default")
		}
		if cfg.opts["mode"] != "stream" {
			return t, nil
		}
		for _, connection := range connections {
			stream, err := openAppendStream(connection)
			if err != nil {
				return nil, err
			}
			t.streams = append(t.streams, stream)
		}
		return t, nil
	}
}

func (t *proglogTarget) setup(context.Context) error { return nil }

func (t *proglogTarget) request(values [][]byte) []byte {
	size := len(t.topic) + 8
	for _, value := range values {
		size += len(value) + 12
	}
	request := field(make([]byte, 0, size), fieldTopic, t.topic)
	for _, value := range values {
		request = field(request, fieldRecords, field(nil, fieldValue, value))
	}
	return request
}

func (t *proglogTarget) appendOne(ctx context.Context, conn int, value []byte) error {
	return t.appendBatch(ctx, conn, [][]byte{value})
}

func (t *proglogTarget) appendBatch(ctx context.Context, conn int, values [][]byte) error {
	request, answer := t.request(values), []byte(nil)
	if t.streams != nil {
		return t.streams[conn].append(ctx, request)
	}
	return t.connections[conn].Invoke(ctx, logService+"Produce", &request, &answer)
}

// subscribe is in place when the first message came, which the server sends at once.
func (t *proglogTarget) subscribe(
	ctx context.Context, _ int, ready func(), fn func(value []byte),
) error {
	request := num(field(nil, fieldTopic, t.topic), fieldLastRecords, 0)
	return t.read(ctx, request, ready, func(value []byte) bool { fn(value); return true })
}

func (t *proglogTarget) scan(ctx context.Context, n int) (records, bytes int, err error) {
	request := num(field(nil, fieldTopic, t.topic), fieldOffset, 0)
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
	if err := stream.SendMsg(&request); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for more := true; more; ready() {
		var message []byte
		if err := stream.RecvMsg(&message); err != nil {
			return err
		}
		err := each(message, func(n protowire.Number, consumed []byte, _ uint64) {
			if n != fieldConsumed || consumed == nil {
				return
			}
			_ = each(consumed, func(n protowire.Number, record []byte, _ uint64) {
				if n != fieldRecord || record == nil {
					return
				}
				_ = each(record, func(n protowire.Number, value []byte, _ uint64) {
					if n == fieldValue && more {
						more = fn(value)
					}
				})
			})
		})
		if err != nil {
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

// unansweredMax is more than any workload has in flight on one connection.
const unansweredMax = 4096

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
	message := field(nil, fieldBatches, request)
	answered := make(chan error, 1)
	s.mutex.Lock()
	s.waiting <- answered
	err := s.stream.SendMsg(&message)
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
	for {
		var message []byte
		if err := s.stream.RecvMsg(&message); err != nil {
			for answered := range s.waiting {
				answered <- err
			}
			return
		}
		_ = each(message, func(n protowire.Number, answer []byte, _ uint64) {
			if n == fieldAnswers && answer != nil {
				(<-s.waiting) <- nil
			}
		})
	}
}
