package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	proglogv1 "example.com/proglog-clients/gen/proglog/v1"
	"example.com/proglog-clients/internal/check"
)

// checkTail ends the stream as clients do that had enough: by cancelling its context.
func (p *program) checkTail(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	first := p.nextOffset()
	stream, err := p.openTail(ctx)
	if err != nil {
		return err
	}
	var records []*proglogv1.ConsumedRecord
	for _, record := range check.NewRecords("tailed", 3) {
		if err := p.produce(ctx, record); err != nil {
			return err
		}
		for uint64(len(records)) < p.nextOffset()-first {
			message, err := stream.Recv()
			if err != nil {
				return err
			}
			records = append(records, message.GetRecords()...)
			if next := first + uint64(len(records)); message.GetResumeOffset() != next {
				return fmt.Errorf("resume offset %d, want %d", message.GetResumeOffset(), next)
			}
		}
	}
	return check.SameRecords(records, p.written[first:], first)
}

func (p *program) checkCancel(ctx context.Context) error {
	tailing, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := p.openTail(tailing)
	if err != nil {
		return err
	}
	cancel()
	if _, err := stream.Recv(); status.Code(err) != codes.Canceled {
		return fmt.Errorf("got %v, want Canceled", err)
	}
	return p.isUsable(ctx)
}

// openTail begins to read at the end of the topic. The first message comes at once and
// says where that is, so what is produced after it is seen.
func (p *program) openTail(
	ctx context.Context,
) (grpc.ServerStreamingClient[proglogv1.ConsumeStreamResponse], error) {
	stream, err := p.log.ConsumeStream(ctx, &proglogv1.ConsumeStreamRequest{
		Topic: p.topic,
		Start: &proglogv1.ConsumeStreamRequest_LastRecords{LastRecords: 0},
	})
	if err != nil {
		return nil, err
	}
	message, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	if len(message.GetRecords()) != 0 || message.GetResumeOffset() != p.nextOffset() {
		return nil, fmt.Errorf("the tail began with %v, want resume offset %d", message, p.nextOffset())
	}
	return stream, nil
}

// checkProduceStream has all batches in flight at once: it sends while it receives.
func (p *program) checkProduceStream(ctx context.Context) error {
	const batches = 1000
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := p.log.ProduceStream(ctx)
	if err != nil {
		return err
	}
	records := check.NewRecords("streamed", batches)
	go func() {
		defer stream.CloseSend()
		for _, record := range records {
			batch := &proglogv1.ProduceRequest{Topic: p.topic, Records: []*proglogv1.Record{record}}
			// A failure to send shows as the error of Recv.
			if stream.Send(&proglogv1.ProduceStreamRequest{
				Batches: []*proglogv1.ProduceRequest{batch},
			}) != nil {
				return
			}
		}
	}()
	first, answered := p.nextOffset(), 0
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		for _, answer := range message.GetAcknowledgements() {
			if err := check.Acknowledged(answer, first+uint64(answered), 1); err != nil {
				return err
			}
			answered++
		}
	}
	if answered != batches {
		return fmt.Errorf("the stream ended after %d of %d answers", answered, batches)
	}
	p.written = append(p.written, records...)
	found, err := p.consumeAll(ctx, first)
	if err != nil {
		return err
	}
	return check.SameRecords(found, records, first)
}
