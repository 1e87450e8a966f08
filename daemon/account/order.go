package account

import (
	"slices"
	"strings"
)

// Order is what an operator wants of an account's next pass, in answer to what an earlier one reported.
type Order string

// The orders. Each is obeyed once.
const (
	// Approve: what the guard holds back as an accident is meant.
	Approve Order = "approve"
	// CopyParked: parked messages are copied again, whatever became of their first copies.
	CopyParked Order = "copy-parked"
	// LeaveParked: the owners of parked messages removed their copies.
	LeaveParked Order = "leave-parked"
	// Retry: refused messages are tried again.
	Retry Order = "retry"
)

// Orders are an account's orders: words with one space between.
type Orders string

// Has tells whether an order is among them.
func (o Orders) Has(order Order) bool {
	return slices.Contains(strings.Fields(string(o)), string(order))
}

// With adds an order. Parked messages are either copied or left: the later word counts.
func (o Orders) With(order Order) Orders {
	rest := o.Without(order)
	switch order {
	case CopyParked:
		rest = rest.Without(LeaveParked)
	case LeaveParked:
		rest = rest.Without(CopyParked)
	}
	return Orders(strings.TrimSpace(string(rest) + " " + string(order)))
}

// Without removes orders.
func (o Orders) Without(orders ...Order) Orders {
	return Orders(strings.Join(slices.DeleteFunc(strings.Fields(string(o)), func(word string) bool {
		return slices.Contains(orders, Order(word))
	}), " "))
}
