// Command connect checks that stock connect-go clients work against proglog, with each
// of the three protocols that they speak.
//
//	connect [-protocol connect|grpc|grpcweb] [-http1] HOST:PORT
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"

	"connectrpc.com/connect"

	"example.com/proglog-clients/gen/log/v1/logv1connect"
	proglogv1 "example.com/proglog-clients/gen/proglog/v1"
	"example.com/proglog-clients/gen/proglog/v1/proglogv1connect"
	"example.com/proglog-clients/internal/check"
)

// program is the clients, all with one HTTP client, and what they wrote.
type program struct {
	log     proglogv1connect.LogServiceClient
	topics  proglogv1connect.TopicServiceClient
	seed    logv1connect.LogClient
	isHTTP1 bool

	topic   string
	written []*proglogv1.Record // by offset
}

func main() {
	protocol := flag.String("protocol", "connect", "connect, grpc or grpcweb")
	isHTTP1 := flag.Bool("http1", false, "use HTTP/1.1, which cannot stream both ways")
	flag.Parse()
	// By itself connect-go accepts answers of any size.
	options := []connect.ClientOption{connect.WithReadMaxBytes(16 << 20)}
	switch *protocol {
	case "connect":
	case "grpc":
		options = append(options, connect.WithGRPC())
	case "grpcweb":
		options = append(options, connect.WithGRPCWeb())
	default:
		fmt.Fprintf(os.Stderr, "no such protocol: %s\n", *protocol)
		os.Exit(2)
	}
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	url, client := "http://"+flag.Arg(0), newHTTPClient(*isHTTP1)
	p := &program{
		log:     proglogv1connect.NewLogServiceClient(client, url, options...),
		topics:  proglogv1connect.NewTopicServiceClient(client, url, options...),
		seed:    logv1connect.NewLogClient(client, url, options...),
		isHTTP1: *isHTTP1,
		topic:   check.TopicName("connect-go"),
	}
	if !check.Run(p.checks()) {
		os.Exit(1)
	}
}

// newHTTPClient returns a client that speaks HTTP/2 without TLS (h2c), or HTTP/1.1.
func newHTTPClient(isHTTP1 bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(isHTTP1)
	protocols.SetUnencryptedHTTP2(!isHTTP1)
	return &http.Client{Transport: &http.Transport{Protocols: protocols}}
}

func (p *program) checks() []check.Check {
	checks := []check.Check{
		{Name: "produce", Run: p.checkProduce},
		{Name: "produce-batch", Run: p.checkProduceBatch},
		{Name: "consume", Run: p.checkConsume},
		{Name: "consume-long-poll", Run: p.checkLongPoll},
		{Name: "tail", Run: p.checkTail},
		{Name: "error-details", Run: p.checkErrorDetails},
		{Name: "deadline", Run: p.checkDeadline},
		{Name: "cancel", Run: p.checkCancel},
		{Name: "large-message", Run: p.checkLargeMessage},
		{Name: "seed", Run: p.checkSeed},
		{Name: "reconnect", Run: p.checkReconnect},
	}
	if !p.isHTTP1 {
		checks = append(checks, check.Check{Name: "produce-stream", Run: p.checkProduceStream})
	}
	return checks
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
