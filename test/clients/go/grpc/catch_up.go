package main

import (
	"context"
	"encoding/binary"
	"fmt"

	proglogv1 "example.com/proglog-clients/gen/proglog/v1"
)

const (
	catchUpRecords    = 80_000
	catchUpBatch      = 1_000
	catchUpValueBytes = 100
)

// checkCatchUp reads a long stream of small records on a connection of its own: a new one
// has small flow control windows, which grpc-go raises when it sees how fast data comes.
func (p *program) checkCatchUp(ctx context.Context) error {
	topic := p.topic + "-catch-up"
	_, err := p.topics.CreateTopic(ctx, &proglogv1.CreateTopicRequest{Topic: topic})
	if err != nil {
		return err
	}
	for first := uint64(0); first < catchUpRecords; first += catchUpBatch {
		request := &proglogv1.ProduceRequest{Topic: topic}
		for offset := first; offset < first+catchUpBatch; offset++ {
			value := make([]byte, catchUpValueBytes)
			binary.BigEndian.PutUint64(value, offset)
			request.Records = append(request.Records, &proglogv1.Record{Value: value})
		}
		if _, err := p.log.Produce(ctx, request); err != nil {
			return err
		}
	}
	conn, err := dial(p.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	log := proglogv1.NewLogServiceClient(conn)
	stream, err := log.ConsumeStream(ctx, &proglogv1.ConsumeStreamRequest{
		Topic: topic,
		Start: &proglogv1.ConsumeStreamRequest_Offset{Offset: 0},
	})
	if err != nil {
		return err
	}
	for next := uint64(0); next < catchUpRecords; {
		message, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("after %d records: %w", next, err)
		}
		for _, record := range message.GetRecords() {
			number := binary.BigEndian.Uint64(record.GetRecord().GetValue())
			if record.GetOffset() != next || number != next {
				return fmt.Errorf("record %d at offset %d, want %d", number, record.GetOffset(), next)
			}
			next++
		}
	}
	return nil
}
