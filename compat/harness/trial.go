package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

const (
	patience      = 30 * time.Second
	checkDuration = 90 * time.Second
)

var address = os.Getenv("ADDRESS")

// A check panics where something is wrong.
type check struct {
	feature string
	run     func()
}

// Runs checks one after another, all or those that the command line names, and prints one line for each.
func runChecks(checks []check) {
	for _, one := range checks {
		if len(os.Args) > 1 && !contains(os.Args[1:], one.feature) {
			continue
		}
		failed := make(chan any, 1)
		go func() {
			defer func() { failed <- recover() }()
			one.run()
		}()
		select {
		case why := <-failed:
			if why == nil {
				fmt.Println("ok " + one.feature)
			} else {
				fmt.Println("FAILED " + one.feature + ": " + strings.ReplaceAll(fmt.Sprint(why), "\n", " "))
			}
		case <-time.After(checkDuration):
			fmt.Println("FAILED " + one.feature + ": not done within " + checkDuration.String())
		}
	}
	os.Exit(0)
}

// The broker ends by restart or kill and is started again at the same address.
func broker(what string) {
	must(exec.Command(os.Getenv("BROKER"), what).Run())
}

func expect(holds bool, what string, values ...any) {
	if !holds {
		panic(fmt.Sprintf(what, values...))
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// Waits for what a broker may tell its clients a little later.
func eventually(holds func() bool, what string) {
	for until := time.Now().Add(patience); !holds(); time.Sleep(100 * time.Millisecond) {
		expect(time.Now().Before(until), "%s", what)
	}
}

func contains(values []string, wanted string) bool {
	for _, value := range values {
		if value == wanted {
			return true
		}
	}
	return false
}

func numbers(prefix string, count int) []string {
	var values []string
	for number := 0; number < count; number++ {
		values = append(values, fmt.Sprintf("%s%04d", prefix, number))
	}
	return values
}
