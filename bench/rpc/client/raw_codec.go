package main

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
)

const (
	// messageBytesMax is the largest message taken: more than any server here sends.
	messageBytesMax = 64 << 20
	// windowBytes is flow control's window of a stream and of a connection.
	windowBytes = 8 << 20
)

// taker gets a received message as the buffers it came in; they are only valid
// during the call.
type taker interface {
	take(message mem.BufferSlice) error
}

// rawCodec sends []byte as it is and hands received buffers to a taker.
type rawCodec struct{}

var _ encoding.CodecV2 = rawCodec{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(message any) (mem.BufferSlice, error) {
	bytes, ok := message.([]byte)
	if !ok {
		return nil, fmt.Errorf("Cannot send a %T: only []byte", message)
	}
	return mem.BufferSlice{mem.SliceBuffer(bytes)}, nil
}

func (rawCodec) Unmarshal(message mem.BufferSlice, into any) error {
	to, ok := into.(taker)
	if !ok {
		return fmt.Errorf("Cannot receive into a %T: only a taker", into)
	}
	return to.take(message)
}

// copied keeps a message in a buffer that is used again.
type copied struct{ bytes []byte }

func (c *copied) take(message mem.BufferSlice) error {
	c.bytes = c.bytes[:0]
	for _, buffer := range message {
		c.bytes = append(c.bytes, buffer.ReadOnlyData()...)
	}
	return nil
}

// dial opens connections with windows of a fixed size; with stock windows grpc-go begins
// with 64 KiB and raises them as it sees the connection's speed.
func dial(addr string, count int, stock bool) ([]*grpc.ClientConn, error) {
	windows := []grpc.DialOption{
		grpc.WithInitialWindowSize(windowBytes), grpc.WithInitialConnWindowSize(windowBytes)}
	if stock {
		windows = nil
	}
	connections := make([]*grpc.ClientConn, 0, count)
	for range count {
		connection, err := grpc.NewClient("passthrough:///"+addr, append(windows,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(
				grpc.ForceCodecV2(rawCodec{}), grpc.MaxCallRecvMsgSize(messageBytesMax)))...)
		if err != nil {
			return nil, err
		}
		connections = append(connections, connection)
	}
	return connections, nil
}
