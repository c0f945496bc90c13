// Command grpc checks that stock grpc-go clients work against proglog.
//
//	grpc HOST:PORT
package main

import (
	"context"
	"fmt"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	logv1 "example.com/proglog-clients/gen/log/v1"
	proglogv1 "example.com/proglog-clients/gen/proglog/v1"
	"example.com/proglog-clients/internal/check"
)

// program is the clients, all on one connection, and what they wrote.
type program struct {
	address string

	log    proglogv1.LogServiceClient
	topics proglogv1.TopicServiceClient
	seed   logv1.LogClient

	topic   string
	written []*proglogv1.Record // by offset
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: grpc HOST:PORT")
		os.Exit(2)
	}
	conn, err := dial(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer conn.Close()
	p := &program{
		address: os.Args[1],
		log:     proglogv1.NewLogServiceClient(conn),
		topics:  proglogv1.NewTopicServiceClient(conn),
		seed:    logv1.NewLogClient(conn),
		topic:   check.TopicName("grpc-go"),
	}
	if !check.Run(p.checks()) {
		os.Exit(1)
	}
}

func dial(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

func (p *program) checks() []check.Check {
	return []check.Check{
		{Name: "produce", Run: p.checkProduce},
		{Name: "produce-batch", Run: p.checkProduceBatch},
		{Name: "consume", Run: p.checkConsume},
		{Name: "consume-long-poll", Run: p.checkLongPoll},
		{Name: "tail", Run: p.checkTail},
		{Name: "catch-up", Run: p.checkCatchUp},
		{Name: "produce-stream", Run: p.checkProduceStream},
		{Name: "error-details", Run: p.checkErrorDetails},
		{Name: "deadline", Run: p.checkDeadline},
		{Name: "cancel", Run: p.checkCancel},
		{Name: "large-message", Run: p.checkLargeMessage},
		{Name: "seed", Run: p.checkSeed},
		{Name: "reconnect", Run: p.checkReconnect},
	}
}

// produce appends records and remembers them. Only this program writes to its topic,
// so the offset they get is known before.
func (p *program) produce(ctx context.Context, records ...*proglogv1.Record) error {
	answer, err := p.log.Produce(ctx, &proglogv1.ProduceRequest{Topic: p.topic, Records: records})
	if err != nil {
		return err
	}
	first := p.nextOffset()
	p.written = append(p.written, records...)
	return check.Acknowledged(answer, first, len(records))
}

// consumeAll reads from an offset to the end, in as many calls as that takes.
func (p *program) consumeAll(ctx context.Context, offset uint64) ([]*proglogv1.ConsumedRecord, error) {
	var records []*proglogv1.ConsumedRecord
	for {
		answer, err := p.log.Consume(ctx, &proglogv1.ConsumeRequest{
			Topic: p.topic,
			Start: &proglogv1.ConsumeRequest_Offset{Offset: offset},
		})
		if err != nil {
			return nil, err
		}
		records = append(records, answer.GetRecords()...)
		offset = answer.GetResumeOffset()
		if offset == answer.GetHighWatermark() {
			return records, nil
		}
	}
}

// isUsable returns an error unless the connection still carries calls.
func (p *program) isUsable(ctx context.Context) error {
	if err := p.produce(ctx, check.NewRecords("usable", 1)...); err != nil {
		return fmt.Errorf("the connection is of no use afterwards: %w", err)
	}
	return nil
}

func (p *program) nextOffset() uint64 {
	return uint64(len(p.written))
}
