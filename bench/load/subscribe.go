package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"time"
)

// event is what is needed of a CloudEvent.
type event struct {
	Type    string `json:"type"`
	Subject string `json:"subject"`
}

// subscribe serves POST /events as an HTTP subscriber of the order service: CloudEvents in batched or structured JSON mode.
func subscribe(listener net.Listener, b *book) {
	handler := http.NewServeMux()
	handler.HandleFunc("POST /events", func(w http.ResponseWriter, r *http.Request) {
		at := time.Now()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		events, err := parse(text)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for _, e := range events {
			b.heard(e.Subject, e.Type, at)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	server := &http.Server{Handler: handler}
	if err := server.Serve(listener); err != nil {
		fail("announcements: %v", err)
	}
}

func parse(text []byte) ([]event, error) {
	if len(text) > 0 && text[0] == '[' {
		var many []event
		err := json.Unmarshal(text, &many)
		return many, err
	}
	var one event
	err := json.Unmarshal(text, &one)
	return []event{one}, err
}
