package main

import (
	"slices"
	"syscall"
	"time"
)

// result is what a run prints. Rates are of the measured time only.
type result struct {
	Workload         string  `json:"workload"`
	Calls            int64   `json:"calls,omitempty"`
	Records          int64   `json:"records,omitempty"`
	Seconds          float64 `json:"seconds,omitempty"`
	CallsPerSecond   float64 `json:"callsPerSecond,omitempty"`
	RecordsPerSecond float64 `json:"recordsPerSecond,omitempty"`
	MBPerSecond      float64 `json:"mbPerSecond,omitempty"`
	P50Ms            float64 `json:"p50Ms,omitempty"`
	P99Ms            float64 `json:"p99Ms,omitempty"`
	P999Ms           float64 `json:"p999Ms,omitempty"`
	MaxMs            float64 `json:"maxMs,omitempty"`
	Lost             int64   `json:"lost,omitempty"`
	Errors           int64   `json:"errors"`
	Error            string  `json:"error,omitempty"`
	ClientCPUSeconds float64 `json:"clientCpuSeconds"`
}

func (r *result) setRates(elapsed time.Duration) {
	r.Seconds = elapsed.Seconds()
	r.CallsPerSecond = float64(r.Calls) / r.Seconds
	r.RecordsPerSecond = float64(r.Records) / r.Seconds
}

func (r *result) setLatencies(all []time.Duration) {
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	at := func(part float64) float64 {
		return float64(all[int(part*float64(len(all)-1))]) / float64(time.Millisecond)
	}
	r.P50Ms, r.P99Ms, r.P999Ms, r.MaxMs = at(0.5), at(0.99), at(0.999), at(1)
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(usage.Utime) + seconds(usage.Stime)
}
