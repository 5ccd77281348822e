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
	// Rates are those of orders after the warm-up, from the first answer or completion to the last.
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
	return report{
		Sent:               r.sent.Load(),
		Accepted:           r.took.Load(),
		AcceptedPerSecond:  r.accepted.perSecond(),
		CompletedPerSecond: b.completed.perSecond(),
		Statuses:           r.statuses,
		Ends:               b.ends,
		Open:               len(b.open),
		Repeated:           len(b.early),
		Post:               summary(r.posts),
		Completion:         summary(b.completions),
	}
}

// span counts things, and the time from the first of them to the last.
type span struct {
	count       int
	first, last time.Time
}

func (s *span) add(at time.Time) {
	if s.count == 0 || at.Before(s.first) {
		s.first = at
	}
	if at.After(s.last) {
		s.last = at
	}
	s.count++
}

// perSecond is 0 where there was no time between them.
func (s *span) perSecond() float64 {
	if over := s.last.Sub(s.first); over > 0 {
		return float64(s.count-1) / over.Seconds()
	}
	return 0
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
