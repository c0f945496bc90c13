package main

import (
	"math/rand"

	"google.golang.org/protobuf/encoding/protowire"
)

// Messages of proglog.v1 are written and read by hand, so that the generator costs
// little beside the server that it shares the cores with. Field numbers are those
// of proto/proglog/v1.

const (
	fieldTopic           = 1 // of every request
	fieldRecords         = 2 // ProduceRequest
	fieldValue           = 2 // Record
	fieldOffset          = 2 // ConsumeStreamRequest
	fieldLastRecords     = 3 // ConsumeStreamRequest
	fieldEndOffset       = 7 // ConsumeStreamRequest
	fieldBatches         = 1 // ProduceStreamRequest
	fieldAcknowledgement = 1 // ProduceStreamResponse
	fieldConsumed        = 1 // ConsumeStreamResponse
	fieldRecord          = 3 // ConsumedRecord
)

func appendBytes(to []byte, field protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, field, protowire.BytesType), value)
}

func appendNumber(to []byte, field protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(to, field, protowire.VarintType), value)
}

// produceRequest is a batch of equal records; an empty topic is left out.
func produceRequest(topic string, value []byte, count int) []byte {
	var request []byte
	if topic != "" {
		request = appendBytes(request, fieldTopic, []byte(topic))
	}
	record := appendBytes(nil, fieldValue, value)
	for range count {
		request = appendBytes(request, fieldRecords, record)
	}
	return request
}

// payload is the same bytes in every run, and does not compress.
func payload(size int) []byte {
	bytes := make([]byte, size)
	random := rand.New(rand.NewSource(1))
	random.Read(bytes)
	return bytes
}

// eachField calls visit for every field that is bytes.
func eachField(message []byte, visit func(field protowire.Number, value []byte)) error {
	for len(message) > 0 {
		field, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return protowire.ParseError(size)
		}
		message = message[size:]
		if kind == protowire.BytesType {
			value, size := protowire.ConsumeBytes(message)
			if size < 0 {
				return protowire.ParseError(size)
			}
			visit(field, value)
			message = message[size:]
			continue
		}
		size = protowire.ConsumeFieldValue(field, kind, message)
		if size < 0 {
			return protowire.ParseError(size)
		}
		message = message[size:]
	}
	return nil
}

// eachValue calls visit with the value of every record of a ConsumeStreamResponse.
func eachValue(message []byte, visit func(value []byte)) error {
	return eachField(message, func(field protowire.Number, consumed []byte) {
		if field != fieldConsumed {
			return
		}
		_ = eachField(consumed, func(field protowire.Number, record []byte) {
			if field != fieldRecord {
				return
			}
			_ = eachField(record, func(field protowire.Number, value []byte) {
				if field == fieldValue {
					visit(value)
				}
			})
		})
	})
}
