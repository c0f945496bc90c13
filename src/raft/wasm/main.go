// Package main is etcd's Raft (go.etcd.io/raft/v3) for a host in another language: a WASI
// reactor that holds many groups and does no I/O. The host gives it ticks, messages and
// proposals, asks for what is to be done, and answers questions about logs that it keeps.
//
// Every export returns status<<1 | ready: how it went (errors.go), and whether the group has
// something to be done now. Arguments that are bytes come in inBuf, results that are bytes lie
// where result says. Ids, indexes and terms are safe integers of JavaScript (below 2^53); as
// arguments they are f64, in bytes u64. All bytes are little-endian.
package main

import "unsafe"

func main() {}

const inBufBytes = 64 << 10

var (
	// What the host hands in; it writes, the next call reads.
	inBuf = make([]byte, inBufBytes)
	// What is handed out; valid until the next call.
	out = make([]byte, 0, inBufBytes)
	// Address and length of out, where the host reads them without another call.
	result struct{ address, length uint32 }
)

// in_buffer makes room for that many bytes. The address stays the same until it is asked for more.
//
//go:wasmexport in_buffer
func inBuffer(size uint32) uint32 {
	if int(size) > len(inBuf) {
		inBuf = make([]byte, max(int(size), 2*len(inBuf)))
	}
	return address(inBuf)
}

// result_address says where the address and the length of results are written: two u32.
//
//go:wasmexport result_address
func resultAddress() uint32 { return uint32(uintptr(unsafe.Pointer(&result))) }

// input is what the host wrote for this call.
func input(size uint32) []byte { return inBuf[:size] }

// give makes bytes the result of this call.
func give(bytes []byte) {
	out = bytes
	result.address, result.length = address(bytes), uint32(len(bytes))
}

func address(bytes []byte) uint32 {
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(bytes))))
}
