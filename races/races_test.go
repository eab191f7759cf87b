package main

import (
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

func op(call, answered int64, expected, version string, outcome outcome) operation {
	return operation{call: call, answered: answered, expected: expected, version: version, outcome: outcome, request: version}
}

// What the checker accepts, and the lies that it finds.
func TestLinearizable(t *testing.T) {
	for name, c := range map[string]struct {
		operations []operation
		wanted     porcupine.CheckResult
	}{
		"one after another":               {[]operation{op(1, 2, "none", "0@0", appended), op(3, 4, "0@0", "0@1", appended), op(5, 6, "", "0@1", read)}, porcupine.Ok},
		"the loser is told so":            {[]operation{op(1, 4, "none", "0@0", appended), op(2, 5, "none", "", outrun)}, porcupine.Ok},
		"both won":                        {[]operation{op(1, 4, "none", "0@0", appended), op(2, 5, "none", "0@1", appended)}, porcupine.Illegal},
		"lost to nobody":                  {[]operation{op(1, 2, "none", "", outrun), op(3, 4, "none", "0@0", appended)}, porcupine.Illegal},
		"an old version was read":         {[]operation{op(1, 2, "none", "0@0", appended), op(3, 4, "0@0", "0@1", appended), op(5, 6, "", "0@0", read)}, porcupine.Illegal},
		"an unconditional one in between": {[]operation{op(1, 2, "none", "0@0", appended), op(3, 4, "", "0@1", appended), op(5, 6, "0@0", "", outrun)}, porcupine.Ok},
		"an unanswered one came late":     {[]operation{op(1, 0, "none", "0@0", appended), op(5, 6, "", "none", read), op(7, 8, "", "0@0", read)}, porcupine.Ok},
	} {
		if found := linearizable(c.operations, time.Minute); found != c.wanted {
			t.Errorf("%s: %s, expected %s", name, found, c.wanted)
		}
	}
}

func TestWrong(t *testing.T) {
	made := func(offset int64, kind, amount, request string) entry {
		e := entry{Offset: offset}
		e.Value.Account, e.Value.Kind, e.Value.Amount, e.Value.Request = "a", kind, "7.00", request
		return e
	}
	fine := []entry{made(0, "deposit", "7.00", "d"), made(1, "withdrawal", "7.00", "w")}
	acknowledged := []operation{{request: "w", version: "0@1", outcome: appended, door: "http"}}
	for name, c := range map[string]struct {
		ledger     []entry
		operations []operation
		wanted     string
	}{
		"nothing":    {fine, acknowledged, ""},
		"below zero": {fine[1:], nil, "the balance of a is -7.00"},
		"lost":       {fine[:1], acknowledged, "is lost"},
		"moved":      {[]entry{fine[0], made(2, "withdrawal", "7.00", "w")}, acknowledged, "stands at 0@2"},
		"doubled":    {[]entry{fine[0], made(1, "deposit", "7.00", "d")}, nil, "twice"},
	} {
		found := strings.Join(wrong(c.ledger, c.operations), "; ")
		if (c.wanted == "") != (found == "") || !strings.Contains(found, c.wanted) {
			t.Errorf("%s: %q, expected %q", name, found, c.wanted)
		}
	}
}
