package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"google.golang.org/grpc"

	"proglog/bench/rpc/client/wire"
)

// memoryRecordsMax is what the server in memory keeps before it forgets all.
const memoryRecordsMax = 1 << 20

// serve is what grpc-go does with the same calls when nothing is stored: Produce
// copies the records into memory. Until SIGTERM.
func serve(_ context.Context, _ options) (result, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return result{}, err
	}
	server := grpc.NewServer(grpc.ForceServerCodecV2(rawCodec{}),
		grpc.MaxRecvMsgSize(messageBytesMax), grpc.InitialWindowSize(windowBytes))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "proglog.v1.LogService",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Produce", Handler: handleProduce}},
	}, &memory{})
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	go func() {
		<-stop
		server.Stop()
	}()
	fmt.Fprintf(os.Stderr, "listening on %s\n", listener.Addr())
	return result{}, server.Serve(listener)
}

type memory struct {
	mutex   sync.Mutex
	records [][]byte
	next    uint64
}

func handleProduce(
	service any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor,
) (any, error) {
	var request copied
	if err := decode(&request); err != nil {
		return nil, err
	}
	log, ok := service.(*memory)
	if !ok {
		return nil, fmt.Errorf("Cannot serve with a %T", service)
	}
	return log.append(request.bytes)
}

// append answers with the first and the last offset.
func (m *memory) append(request []byte) ([]byte, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if len(m.records) > memoryRecordsMax {
		m.records = m.records[:0]
	}
	first := m.next
	err := wire.EachRecord(request, func(record []byte) {
		m.records = append(m.records, record)
		m.next++
	})
	return wire.ProduceResponse(first, m.next-1), err
}
