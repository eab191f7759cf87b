package main

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// What a measurement found.
type figure struct {
	perSecond float64
	p50, p99  time.Duration
	// The processor time for one: the server's, and this client's.
	server, client time.Duration
}

// Lets so many clients do something for a while, one after another each. Each has accounts of its own unless `shared` says otherwise.
func measure(peer peer, clients int, lasts time.Duration, do func(connection, int) error) (figure, error) {
	connections := make([]connection, clients)
	for index := range connections {
		made, err := peer.connect()
		if err != nil {
			return figure{}, err
		}
		defer made.close()
		connections[index] = made
	}
	taken := make([][]time.Duration, clients)
	var failed atomic.Value
	var done sync.WaitGroup
	before, own, began := peer.server().processorTime(), ownTime(), time.Now()
	for index, connection := range connections {
		done.Add(1)
		go func() {
			defer done.Done()
			for from := time.Now(); from.Sub(began) < lasts; {
				if err := do(connection, index); err != nil {
					failed.Store(fmt.Errorf("%s: %w", peer.name(), err))
					return
				}
				now := time.Now()
				taken[index] = append(taken[index], now.Sub(from))
				from = now
			}
		}()
	}
	done.Wait()
	seconds := time.Since(began).Seconds()
	server, client := peer.server().processorTime()-before, ownTime()-own
	if err, is := failed.Load().(error); is {
		return figure{}, err
	}
	all := slices.Concat(taken...)
	if len(all) == 0 {
		return figure{}, fmt.Errorf("%s: nothing was done", peer.name())
	}
	slices.Sort(all)
	return figure{
		perSecond: float64(len(all)) / seconds,
		p50:       all[len(all)/2],
		p99:       all[len(all)*99/100],
		server:    server / time.Duration(len(all)),
		client:    client / time.Duration(len(all)),
	}, nil
}

// The processor time that this program has taken.
func ownTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// How often this disk can write 4 KiB into a file that is there already, and flush it.
func flushes(folder string, lasts time.Duration) (float64, error) {
	file, err := os.Create(folder + "/flushes")
	if err != nil {
		return 0, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	block := make([]byte, 4096)
	const blocks = 4096
	for index := range int64(blocks) {
		if _, err := file.WriteAt(block, index*4096); err != nil {
			return 0, err
		}
	}
	if err := file.Sync(); err != nil {
		return 0, err
	}
	count, began := 0, time.Now()
	for ; time.Since(began) < lasts; count++ {
		if _, err := file.WriteAt(block, int64(count%blocks)*4096); err != nil {
			return 0, err
		}
		if err := syscall.Fdatasync(int(file.Fd())); err != nil {
			return 0, err
		}
	}
	return float64(count) / time.Since(began).Seconds(), nil
}
