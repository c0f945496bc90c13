// Package wire writes and reads messages of proglog.v1 by hand, so that a load
// generator costs little beside the server that it shares the cores with. Field
// numbers are those of proto/proglog/v1.
package wire

import "google.golang.org/protobuf/encoding/protowire"

const (
	fieldTopic           = 1 // of every request
	fieldRecords         = 2 // ProduceRequest
	fieldValue           = 2 // Record
	fieldFirstOffset     = 1 // ProduceResponse
	fieldLastOffset      = 2 // ProduceResponse
	fieldOffset          = 2 // ConsumeStreamRequest
	fieldLastRecords     = 3 // ConsumeStreamRequest
	fieldEndOffset       = 7 // ConsumeStreamRequest
	fieldBatches         = 1 // ProduceStreamRequest
	fieldAcknowledgement = 1 // ProduceStreamResponse
	fieldRecord          = 3 // ConsumedRecord
)

// FieldConsumed is a record of a ConsumeStreamResponse.
const FieldConsumed = 1

// recordRoom is more than the tags and lengths of one record.
const recordRoom = 24

// ProduceRequest is a batch of records with these values; an empty topic is left out.
func ProduceRequest(topic string, values [][]byte) []byte {
	size := len(topic) + recordRoom
	for _, value := range values {
		size += len(value) + recordRoom
	}
	request := make([]byte, 0, size)
	if topic != "" {
		request = appendBytes(request, fieldTopic, []byte(topic))
	}
	for _, value := range values {
		record := protowire.SizeTag(fieldValue) + protowire.SizeBytes(len(value))
		request = protowire.AppendTag(request, fieldRecords, protowire.BytesType)
		request = protowire.AppendVarint(request, uint64(record))
		request = appendBytes(request, fieldValue, value)
	}
	return request
}

// EachRecord calls visit with every encoded record of a ProduceRequest.
func EachRecord(request []byte, visit func(record []byte)) error {
	return eachField(request, func(field protowire.Number, record []byte) {
		if field == fieldRecords {
			visit(record)
		}
	})
}

// ProduceResponse acknowledges the records from the offset first to last.
func ProduceResponse(first, last uint64) []byte {
	return appendNumber(appendNumber(nil, fieldFirstOffset, first), fieldLastOffset, last)
}

// ProduceStreamRequest is one batch as a message of a ProduceStream.
func ProduceStreamRequest(batch []byte) []byte { return appendBytes(nil, fieldBatches, batch) }

// ReadRequest asks ConsumeStream for the records of a topic from its start; end is
// the offset to stop at, or 0 to go on.
func ReadRequest(topic string, end uint64) []byte {
	request := appendBytes(nil, fieldTopic, []byte(topic))
	request = appendNumber(request, fieldOffset, 0)
	if end > 0 {
		request = appendNumber(request, fieldEndOffset, end)
	}
	return request
}

// TailRequest asks ConsumeStream for what is appended from now on.
func TailRequest(topic string) []byte {
	return appendNumber(appendBytes(nil, fieldTopic, []byte(topic)), fieldLastRecords, 0)
}

// CountAcknowledgements counts those of a ProduceStreamResponse.
func CountAcknowledgements(message []byte) (count int, err error) {
	err = eachField(message, func(field protowire.Number, _ []byte) {
		if field == fieldAcknowledgement {
			count++
		}
	})
	return count, err
}

// EachValue calls visit with the value of every record of a ConsumeStreamResponse.
func EachValue(message []byte, visit func(value []byte)) error {
	return eachField(message, func(field protowire.Number, consumed []byte) {
		if field != FieldConsumed {
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

func appendBytes(to []byte, field protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, field, protowire.BytesType), value)
}

func appendNumber(to []byte, field protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(to, field, protowire.VarintType), value)
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
