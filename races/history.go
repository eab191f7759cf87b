package main

import (
	"sync"
	"time"
)

// What one operation did to an account.
type outcome int

const (
	// The event is in the log.
	appended outcome = iota
	// Its condition did not hold: somebody else was faster.
	outrun
	// The account's version was read.
	read
	// Nobody knows: the program was killed, or did not answer.
	unknown
)

// One operation on one account, as its client saw it.
type operation struct {
	client   int
	account  string
	call     int64 // nanoseconds since the race began
	answered int64
	// What it expected the account's version to be; empty where it did not care.
	expected string
	// The version that it made or read; empty where it is not known.
	version string
	// What stands in the event.
	request string
	door    string
	outcome outcome
}

// Everything that happened, in no order.
type history struct {
	began      time.Time
	mutex      sync.Mutex
	operations []operation
}

func (h *history) now() int64 {
	return int64(time.Since(h.began))
}

func (h *history) add(o operation) {
	h.mutex.Lock()
	h.operations = append(h.operations, o)
	h.mutex.Unlock()
}
