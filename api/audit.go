package api

import (
	"encoding/json"
	"time"
)

// Event says who did what to which.
type Event struct {
	ID      int64           `json:"id" doc:"Position in the log; grows with every commit"`
	Time    time.Time       `json:"time"`
	Type    string          `json:"type" doc:"Noun and past tense" example:"space.enlisted"`
	Subject string          `json:"subject" doc:"Identifier of the thing that changed" example:"space-0198a7c4-5b1e-7c3a-9f00-3d2c1b0a9e8f"`
	Name    string          `json:"name" doc:"The thing's name at the time" example:"Payments"`
	Actor   string          `json:"actor" doc:"Identifier of who did it; empty where nobody is known"`
	By      string          `json:"by" doc:"The actor's name at the time" example:"barry"`
	Via     string          `json:"via" doc:"How the actor was signed in" example:"session"`
	Address string          `json:"address" doc:"Where from" example:"192.0.2.7"`
	Before  json.RawMessage `json:"before,omitempty" doc:"What changed, as it was before"`
	After   json.RawMessage `json:"after,omitempty" doc:"What changed, as it was after"`
}
