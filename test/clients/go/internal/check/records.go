package check

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	proglogv1 "example.com/proglog-clients/gen/proglog/v1"
)

// TopicName returns a new name for a topic.
func TopicName(prefix string) string {
	return prefix + "-" + strings.ToLower(rand.Text())
}

// NewRecords makes records with keys, values and headers that tell them apart.
func NewRecords(name string, count int) []*proglogv1.Record {
	records := make([]*proglogv1.Record, count)
	for i := range records {
		records[i] = &proglogv1.Record{
			Key:   fmt.Appendf(nil, "%s-%d", name, i),
			Value: fmt.Appendf(nil, "value %d of %s", i, name),
			Headers: []*proglogv1.Header{
				{Name: "content-type", Value: []byte("text/plain")},
				{Name: "number", Value: fmt.Append(nil, i)},
			},
		}
	}
	return records
}

// NewLargeRecord makes a record whose value has so many bytes.
func NewLargeRecord(valueBytes int) *proglogv1.Record {
	return &proglogv1.Record{Value: bytes.Repeat([]byte("proglog "), valueBytes/8+1)[:valueBytes]}
}

// SameRecords returns an error unless got is want, at offsets from first on.
func SameRecords(got []*proglogv1.ConsumedRecord, want []*proglogv1.Record, first uint64) error {
	if len(got) != len(want) {
		return fmt.Errorf("got %d records, want %d", len(got), len(want))
	}
	for i, consumed := range got {
		if offset := first + uint64(i); consumed.GetOffset() != offset {
			return fmt.Errorf("record %d is at offset %d, want %d", i, consumed.GetOffset(), offset)
		}
		if !proto.Equal(consumed.GetRecord(), want[i]) {
			return fmt.Errorf("the record at offset %d is not what was produced", consumed.GetOffset())
		}
	}
	return nil
}

// Acknowledged returns an error unless the answer is for count records from offset first on.
func Acknowledged(answer *proglogv1.ProduceResponse, first uint64, count int) error {
	last := first + uint64(count) - 1
	if answer.GetFirstOffset() != first || answer.GetLastOffset() != last {
		return fmt.Errorf("acknowledged as %d to %d, want %d to %d",
			answer.GetFirstOffset(), answer.GetLastOffset(), first, last)
	}
	if answer.GetAppendTimeUnixUs() <= 0 {
		return fmt.Errorf("no append time in %v", answer)
	}
	if answer.GetDurability() == proglogv1.Durability_DURABILITY_UNSPECIFIED {
		return fmt.Errorf("no durability in %v", answer)
	}
	return nil
}
