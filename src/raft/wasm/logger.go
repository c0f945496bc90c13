package main

import (
	"fmt"
	"unsafe"

	"go.etcd.io/raft/v3"
)

//go:wasmimport host log
func hostLog(level uint32, text unsafe.Pointer, size uint32)

const (
	levelDebug = iota
	levelInfo
	levelWarn
	levelError
	levelNone
)

var logLevel uint32 = levelNone

// set_log_level says which lines the host wants: these and graver ones.
//
//go:wasmexport set_log_level
func setLogLevel(level uint32) { logLevel = level }

// hostLogger gives lines to the host; what the library takes for fatal stops the group.
type hostLogger struct{}

var _ raft.Logger = hostLogger{}

func line(level uint32, v []any) {
	if level >= logLevel {
		put(level, fmt.Sprint(v...))
	}
}

func linef(level uint32, format string, v []any) {
	if level >= logLevel {
		put(level, fmt.Sprintf(format, v...))
	}
}

func put(level uint32, text string) {
	hostLog(level, unsafe.Pointer(unsafe.StringData(text)), uint32(len(text)))
}

func (hostLogger) Debug(v ...any)                   { line(levelDebug, v) }
func (hostLogger) Debugf(format string, v ...any)   { linef(levelDebug, format, v) }
func (hostLogger) Info(v ...any)                    { line(levelInfo, v) }
func (hostLogger) Infof(format string, v ...any)    { linef(levelInfo, format, v) }
func (hostLogger) Warning(v ...any)                 { line(levelWarn, v) }
func (hostLogger) Warningf(format string, v ...any) { linef(levelWarn, format, v) }
func (hostLogger) Error(v ...any)                   { line(levelError, v) }
func (hostLogger) Errorf(format string, v ...any)   { linef(levelError, format, v) }
func (hostLogger) Fatal(v ...any)                   { panic(fmt.Sprint(v...)) }
func (hostLogger) Fatalf(format string, v ...any)   { panic(fmt.Sprintf(format, v...)) }
func (hostLogger) Panic(v ...any)                   { panic(fmt.Sprint(v...)) }
func (hostLogger) Panicf(format string, v ...any)   { panic(fmt.Sprintf(format, v...)) }
