package main

import (
	"fmt"
	"math"
	"time"

	"github.com/anishathalye/porcupine"
)

// An account's version as a register: an append moves it on, a conditional one only from the version that it expects, and a read tells it.
// The checker is porcupine's; it knows nothing of how the program works.
var register = porcupine.Model{
	Init: func() any { return "none" },
	Step: func(state, input, output any) (bool, any) {
		version, asked, got := state.(string), input.(operation), output.(operation)
		switch got.outcome {
		case appended:
			return asked.expected == "" || asked.expected == version, got.version
		case outrun:
			return asked.expected != version, version
		case read:
			return got.version == version, version
		default:
			panic("an operation of unknown outcome was not resolved")
		}
	},
}

// Whether an account's operations could have happened one after another, each between its call and its answer.
func linearizable(operations []operation, patience time.Duration) porcupine.CheckResult {
	var calls []porcupine.Operation
	for _, o := range operations {
		answered := o.answered
		if answered == 0 {
			answered = math.MaxInt64
		}
		calls = append(calls, porcupine.Operation{ClientId: o.client, Input: o, Call: o.call, Output: o, Return: answered})
	}
	return porcupine.CheckOperationsTimeout(register, calls, patience)
}

// What became of the operations that nobody answered: those whose event is in the log happened at some time after their call, the others never did.
func resolved(operations []operation, versions map[string]string) []operation {
	var known []operation
	for _, o := range operations {
		if o.outcome == unknown {
			version, is := versions[o.request]
			if !is {
				continue
			}
			o.outcome, o.version, o.answered = appended, version, 0
		}
		known = append(known, o)
	}
	return known
}

// The plainest contradiction among an account's operations: somebody was outrun from a version that was read, or built on, later. Empty where there is none so plain.
func contradiction(operations []operation) string {
	for _, lost := range operations {
		if lost.outcome != outrun {
			continue
		}
		for _, later := range operations {
			stands := later.outcome == read && later.version == lost.expected || later.outcome == appended && later.expected == lost.expected
			if stands && later.call > lost.answered {
				return fmt.Sprintf("%s was outrun from %s, answered at %d µs; %s found it standing, called at %d µs",
					lost.door, lost.expected, lost.answered/1000, later.door, later.call/1000)
			}
		}
	}
	return ""
}
