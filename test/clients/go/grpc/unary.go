package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	logv1 "example.com/proglog-clients/gen/log/v1"
	proglogv1 "example.com/proglog-clients/gen/proglog/v1"
	"example.com/proglog-clients/internal/check"
)

func (p *program) checkProduce(ctx context.Context) error {
	_, err := p.topics.CreateTopic(ctx, &proglogv1.CreateTopicRequest{Topic: p.topic})
	if err != nil {
		return err
	}
	return p.produce(ctx, &proglogv1.Record{Value: []byte("hello")})
}

func (p *program) checkProduceBatch(ctx context.Context) error {
	first, batch := p.nextOffset(), check.NewRecords("batch", 1000)
	if err := p.produce(ctx, batch...); err != nil {
		return err
	}
	records, err := p.consumeAll(ctx, first)
	if err != nil {
		return err
	}
	return check.SameRecords(records, batch, first)
}

func (p *program) checkConsume(ctx context.Context) error {
	answer, err := p.log.Consume(ctx, &proglogv1.ConsumeRequest{
		Topic:      p.topic,
		Start:      &proglogv1.ConsumeRequest_Offset{Offset: 10},
		MaxRecords: 5,
	})
	if err != nil {
		return err
	}
	if answer.GetResumeOffset() != 15 || answer.GetHighWatermark() != p.nextOffset() {
		return fmt.Errorf("resume offset %d, high watermark %d, want 15 and %d",
			answer.GetResumeOffset(), answer.GetHighWatermark(), p.nextOffset())
	}
	return check.SameRecords(answer.GetRecords(), p.written[10:15], 10)
}

func (p *program) checkLongPoll(ctx context.Context) error {
	end := p.nextOffset()
	type result struct {
		answer *proglogv1.ConsumeResponse
		err    error
	}
	polled := make(chan result, 1)
	go func() {
		answer, err := p.waitAt(ctx, end)
		polled <- result{answer, err}
	}()
	// Most likely the call waits by then. If not, it finds the record at once.
	time.Sleep(200 * time.Millisecond)
	if err := p.produce(ctx, check.NewRecords("awaited", 1)...); err != nil {
		return err
	}
	poll := <-polled
	if poll.err != nil {
		return poll.err
	}
	return check.SameRecords(poll.answer.GetRecords(), p.written[end:], end)
}

func (p *program) checkErrorDetails(ctx context.Context) error {
	_, err := p.log.Produce(ctx, &proglogv1.ProduceRequest{
		Topic:   "no-such-topic",
		Records: []*proglogv1.Record{{Value: []byte("lost")}},
	})
	failure := status.Convert(err)
	if failure.Code() != codes.NotFound {
		return fmt.Errorf("got %v, want NotFound", err)
	}
	for _, detail := range failure.Details() {
		info, ok := detail.(*errdetails.ErrorInfo)
		if !ok {
			continue
		}
		if info.GetReason() != "TOPIC_NOT_FOUND" || info.GetDomain() != "proglog" ||
			info.GetMetadata()["topic"] != "no-such-topic" {
			return fmt.Errorf("got %v", info)
		}
		return nil
	}
	return fmt.Errorf("no ErrorInfo in %v", failure.Proto())
}

func (p *program) checkDeadline(ctx context.Context) error {
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	_, err := p.waitAt(short, p.nextOffset())
	if status.Code(err) != codes.DeadlineExceeded {
		return fmt.Errorf("got %v, want DeadlineExceeded", err)
	}
	return p.isUsable(ctx)
}

func (p *program) checkLargeMessage(ctx context.Context) error {
	var batch []*proglogv1.Record
	for range 6 {
		batch = append(batch, check.NewLargeRecord(900_000))
	}
	first := p.nextOffset()
	if err := p.produce(ctx, batch...); err != nil {
		return err
	}
	records, err := p.consumeAll(ctx, first)
	if err != nil {
		return err
	}
	if err := check.SameRecords(records, batch, first); err != nil {
		return err
	}
	return p.checkLargeRecord(ctx)
}

// checkLargeRecord reads an answer above the 4 MiB that grpc-go accepts by default.
// Answers stay below unless one record alone is larger.
func (p *program) checkLargeRecord(ctx context.Context) error {
	topic, record := p.topic+"-large", check.NewLargeRecord(5_000_000)
	_, err := p.topics.CreateTopic(ctx, &proglogv1.CreateTopicRequest{
		Topic:    topic,
		Settings: &proglogv1.TopicSettings{MaxRecordBytes: proto.Uint32(6_000_000)},
	})
	if err != nil {
		return err
	}
	_, err = p.log.Produce(ctx, &proglogv1.ProduceRequest{
		Topic:   topic,
		Records: []*proglogv1.Record{record},
	})
	if err != nil {
		return err
	}
	answer, err := p.log.Consume(ctx, &proglogv1.ConsumeRequest{Topic: topic},
		grpc.MaxCallRecvMsgSize(16<<20))
	if err != nil {
		return err
	}
	return check.SameRecords(answer.GetRecords(), []*proglogv1.Record{record}, 0)
}

func (p *program) checkSeed(ctx context.Context) error {
	produced, err := p.seed.Produce(ctx, &logv1.ProduceRequest{Record: []byte(p.topic)})
	if err != nil {
		return err
	}
	consumed, err := p.seed.Consume(ctx, &logv1.ConsumeRequest{Offset: produced.GetOffset()})
	if err != nil {
		return err
	}
	if string(consumed.GetRecord()) != p.topic || consumed.GetOffset() != produced.GetOffset() {
		return fmt.Errorf("got %v", consumed)
	}
	return nil
}

func (p *program) checkReconnect(ctx context.Context) error {
	opened, err := p.log.OpenProducer(ctx, &proglogv1.OpenProducerRequest{
		Topic:      p.topic,
		ProducerId: "reconnect",
	})
	if err != nil {
		return err
	}
	producer := &proglogv1.Producer{Id: "reconnect", Epoch: opened.GetEpoch()}
	if err := p.produceOnce(ctx, producer, check.NewRecords("before", 10)); err != nil {
		return err
	}
	if err := check.RestartServer(); err != nil {
		return err
	}
	if err := p.produceOnce(ctx, producer, check.NewRecords("after", 10)); err != nil {
		return err
	}
	records, err := p.consumeAll(ctx, 0)
	if err != nil {
		return err
	}
	return check.SameRecords(records, p.written, 0)
}

// produceOnce appends a batch, and sends it again while the server is not there. A
// producer's batch is appended once, also when the server went away before it answered.
func (p *program) produceOnce(
	ctx context.Context,
	producer *proglogv1.Producer,
	batch []*proglogv1.Record,
) error {
	var answer *proglogv1.ProduceResponse
	err := check.Retry(ctx, isUnavailable, func(ctx context.Context) (err error) {
		answer, err = p.log.Produce(ctx, &proglogv1.ProduceRequest{
			Topic:    p.topic,
			Records:  batch,
			Producer: producer,
		})
		return err
	})
	if err != nil {
		return err
	}
	first := p.nextOffset()
	producer.Sequence++
	p.written = append(p.written, batch...)
	return check.Acknowledged(answer, first, len(batch))
}

// waitAt is a long poll at an offset.
func (p *program) waitAt(ctx context.Context, offset uint64) (*proglogv1.ConsumeResponse, error) {
	return p.log.Consume(ctx, &proglogv1.ConsumeRequest{
		Topic: p.topic,
		Start: &proglogv1.ConsumeRequest_Offset{Offset: offset},
		Wait:  durationpb.New(10 * time.Second),
	})
}

func isUnavailable(err error) bool {
	return status.Code(err) == codes.Unavailable
}
