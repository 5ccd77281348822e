package main

import (
	"slices"
	"time"
)

// latencies are in milliseconds, from the moment at which an order was due.
type latencies struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

type report struct {
	Sent     int64 `json:"sent"`
	Accepted int64 `json:"accepted"`
	// AcceptedPerSecond is over the time of sending, CompletedPerSecond from the first completion to the last.
	AcceptedPerSecond  float64        `json:"acceptedPerSecond"`
	CompletedPerSecond float64        `json:"completedPerSecond"`
	Statuses           map[string]int `json:"statuses"`
	Ends               map[string]int `json:"ends"`
	// Open orders were accepted and had no end in time; Repeated ends had been told before, or belong to no accepted order.
	Open       int       `json:"open"`
	Repeated   int       `json:"repeated"`
	Post       latencies `json:"post"`
	Completion latencies `json:"completion"`
}

func (r *run) report() report {
	b := r.book
	b.mu.Lock()
	defer b.mu.Unlock()
	made := report{
		Sent:              r.sent.Load(),
		Accepted:          r.took.Load(),
		AcceptedPerSecond: float64(r.took.Load()) / r.sendTime.Seconds(),
		Statuses:          r.statuses,
		Ends:              b.ends,
		Open:              len(b.open),
		Repeated:          len(b.early),
		Post:              summary(r.posts),
		Completion:        summary(b.completions),
	}
	if span := b.last.Sub(b.first); span > 0 {
		made.CompletedPerSecond = float64(b.ends["completed"]-1) / span.Seconds()
	}
	return made
}

func summary(samples []time.Duration) latencies {
	slices.Sort(samples)
	return latencies{
		Count: len(samples),
		P50:   percentile(samples, 50),
		P90:   percentile(samples, 90),
		P99:   percentile(samples, 99),
		P999:  percentile(samples, 99.9),
		Max:   percentile(samples, 100),
	}
}

// percentile is by nearest rank, of sorted samples; 0 without any.
func percentile(sorted []time.Duration, percent float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(percent/100*float64(len(sorted))+0.999999) - 1
	return float64(sorted[min(max(rank, 0), len(sorted)-1)].Microseconds()) / 1000
}
