package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"proglog/bench/rpc/client/wire"
)

const consumeStreamMethod = "/proglog.v1.LogService/ConsumeStream"

// consume reads a number of records from the start of the topic by one stream. A
// bare server takes the same request and answers with as many records.
func consume(ctx context.Context, o options) (result, error) {
	connections, err := dial(o.addr, 1, o.stock)
	if err != nil {
		return result{}, err
	}
	request := wire.ReadRequest(o.topic, uint64(o.records))
	began := time.Now()
	stream, err := openTail(ctx, connections[0], request)
	if err != nil {
		return result{}, err
	}
	var count recordCounter
	for {
		err := stream.RecvMsg(&count)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return result{}, err
		}
	}
	res := result{Calls: count.messages, Records: count.records}
	res.setRates(time.Since(began))
	res.MBPerSecond = float64(count.bytes) / 1e6 / res.Seconds
	if count.records != o.records {
		return res, fmt.Errorf("Cannot read the topic: %d records came, %d were asked for",
			count.records, o.records)
	}
	return res, nil
}

func openTail(
	ctx context.Context, connection *grpc.ClientConn, request []byte,
) (grpc.ClientStream, error) {
	description := &grpc.StreamDesc{ServerStreams: true}
	stream, err := connection.NewStream(ctx, description, consumeStreamMethod)
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(request); err != nil {
		return nil, err
	}
	return stream, stream.CloseSend()
}

// recordCounter counts the records of ConsumeStreamResponses, in the buffers they
// came in: a length that crosses two of them is carried over.
type recordCounter struct {
	messages, records, bytes int64
	// skip is bytes of the present field that are still to come.
	skip int
	// head is the begin of a tag and a length that is not whole yet.
	head []byte
}

func (c *recordCounter) take(message mem.BufferSlice) error {
	c.messages++
	c.skip, c.head = 0, c.head[:0]
	for _, buffer := range message {
		data := buffer.ReadOnlyData()
		c.bytes += int64(len(data))
		if err := c.walk(data); err != nil {
			return err
		}
	}
	if c.skip > 0 || len(c.head) > 0 {
		return errors.New("Cannot read a message: it ends within a field")
	}
	return nil
}

// headBytesMax is a tag and a varint.
const headBytesMax = 20

func (c *recordCounter) walk(data []byte) error {
	for len(data) > 0 {
		if c.skip > 0 {
			taken := min(c.skip, len(data))
			c.skip -= taken
			data = data[taken:]
			continue
		}
		if len(c.head) == 0 && len(data) > headBytesMax {
			used, err := c.field(data)
			if err != nil {
				return err
			}
			data = data[used:]
			continue
		}
		c.head = append(c.head, data[0])
		data = data[1:]
		if used, err := c.field(c.head); err == nil && used == len(c.head) {
			c.head = c.head[:0]
		} else if len(c.head) > headBytesMax {
			return err
		}
	}
	return nil
}

// field reads a tag and what follows it, but for the bytes of a field, which are skipped later.
func (c *recordCounter) field(data []byte) (int, error) {
	field, kind, size := protowire.ConsumeTag(data)
	if size < 0 {
		return 0, protowire.ParseError(size)
	}
	value, more := protowire.ConsumeVarint(data[size:])
	if more < 0 {
		return 0, protowire.ParseError(more)
	}
	if kind == protowire.BytesType {
		c.skip = int(value)
		if field == wire.FieldConsumed {
			c.records++
		}
	} else if kind != protowire.VarintType {
		return 0, fmt.Errorf("Cannot read field %d: kind %d", field, kind)
	}
	return size + more, nil
}
