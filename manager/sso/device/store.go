package device

import (
	"context"
	"time"

	"odcm"
	"odcm/manager/sso"
)

// Device is a device that waits for somebody to let it in (RFC 8628).
type Device struct {
	ID            string // SHA-256 of its code
	UserCode      string // SHA-256 of what the person types
	Party         sso.PartyID
	Scopes        string
	Created       time.Time
	Expires       time.Time
	Polled        time.Time
	Interval      time.Duration
	State         string // "pending", "approved", "denied", "used"
	User          odcm.UserID
	Authenticated time.Time
	Method        string
	Session       string
}

// Store keeps devices. A missing one is [odcm.NotFound].
type Store interface {
	CreateDevice(ctx context.Context, d Device) error
	Device(ctx context.Context, id string) (Device, error)
	DeviceByCode(ctx context.Context, userCode string, at time.Time) (Device, error)
	// DecideDevice writes state, user and session where the device is pending still.
	DecideDevice(ctx context.Context, d Device, e odcm.Event) error
	// PollDevice writes when it asked and how long it must wait; TakeDevice marks an approved one used, once.
	PollDevice(ctx context.Context, id string, polled time.Time, interval time.Duration) error
	TakeDevice(ctx context.Context, id string) (taken bool, err error)
}
