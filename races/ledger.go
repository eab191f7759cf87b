package main

import (
	"encoding/json"
	"fmt"
	"math/big"
)

// One event of the ledger, where it stands.
type entry struct {
	Partition int   `json:"partition"`
	Offset    int64 `json:"offset"`
	Value     struct {
		Account string      `json:"account"`
		Kind    string      `json:"kind"`
		Amount  json.Number `json:"amount"`
		Request string      `json:"request"`
	} `json:"value"`
}

func (e entry) version() string {
	return fmt.Sprintf("%d@%d", e.Partition, e.Offset)
}

// What is wrong with a ledger, given what was acknowledged: nothing lost, nothing there twice, nobody below zero at any position.
func wrong(ledger []entry, operations []operation) []string {
	var found []string
	say := func(format string, values ...any) { found = append(found, fmt.Sprintf(format, values...)) }
	balances := map[string]*big.Rat{}
	versions := map[string]string{}
	for _, e := range ledger {
		amount, ok := new(big.Rat).SetString(e.Value.Amount.String())
		if !ok {
			say("%s: %q is no amount", e.version(), e.Value.Amount)
			continue
		}
		if earlier, is := versions[e.Value.Request]; is {
			say("the request %s stands in the ledger twice, at %s and %s", e.Value.Request, earlier, e.version())
		}
		versions[e.Value.Request] = e.version()
		balance := balances[e.Value.Account]
		if balance == nil {
			balance = new(big.Rat)
			balances[e.Value.Account] = balance
		}
		if e.Value.Kind == "deposit" {
			balance.Add(balance, amount)
		} else {
			balance.Sub(balance, amount)
		}
		if balance.Sign() < 0 {
			say("%s: the balance of %s is %s", e.version(), e.Value.Account, balance.FloatString(2))
		}
	}
	for _, o := range operations {
		if o.outcome != appended {
			continue
		}
		if version, is := versions[o.request]; !is {
			say("the request %s was acknowledged over %s at %s and is lost", o.request, o.door, o.version)
		} else if version != o.version {
			say("the request %s was acknowledged over %s at %s and stands at %s", o.request, o.door, o.version, version)
		}
	}
	return found
}

// Where each request stands.
func versionsOf(ledger []entry) map[string]string {
	versions := map[string]string{}
	for _, e := range ledger {
		versions[e.Value.Request] = e.version()
	}
	return versions
}
