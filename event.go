package odcm

import (
	"encoding/json"
	"time"
)

// Event says who did what to which. Stores commit it in the transaction of the change itself, so that there is no
// change without its event and no event without its change.
type Event struct {
	ID      EventID         `json:"id"`      // given at commit
	Time    time.Time       `json:"time"`    // UTC, millisecond
	Type    string          `json:"type"`    // noun and past tense: "space.enlisted"
	Subject string          `json:"subject"` // identifier of the thing that changed
	Name    string          `json:"name"`    // the thing's name at the time, for people
	Actor   UserID          `json:"actor"`
	By      string          `json:"by"`               // the actor's name at the time
	Via     string          `json:"via"`              // session, api-key, system
	Address string          `json:"address"`          // where from
	Before  json.RawMessage `json:"before,omitempty"` // what changed, without secrets
	After   json.RawMessage `json:"after,omitempty"`
}

// NewEvent makes the event that the principal caused. Before and after are marshalled to JSON; nil leaves them out. They
// must hold no secrets: an event is kept and shown.
func NewEvent(p Principal, typ, subject, name string, before, after any) Event {
	e := Event{Type: typ, Subject: subject, Name: name, Actor: p.User, By: p.Name, Via: p.Via, Address: p.Address}
	e.Before, e.After = marshal(before), marshal(after)
	return e
}

func marshal(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		b, _ = json.Marshal("not shown: " + err.Error())
	}
	return b
}
