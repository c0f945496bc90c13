package main

import (
	"math/rand"
	"slices"
)

// payload is the same bytes in every run, and does not compress.
func payload(size int) []byte {
	bytes := make([]byte, size)
	random := rand.New(rand.NewSource(1))
	random.Read(bytes)
	return bytes
}

// values is a batch of records that are all the same.
func values(o options) [][]byte { return slices.Repeat([][]byte{payload(o.size)}, o.batch) }
