package api

import "time"

// Incident is one time that something was wrong.
type Incident struct {
	ID           string            `json:"id"`
	Rule         string            `json:"rule" doc:"Identifier of the rule that found it"`
	RuleName     string            `json:"ruleName" example:"Offline"`
	Severity     string            `json:"severity" enum:"critical,warning,info"`
	Subject      string            `json:"subject" doc:"Identifier of the Space or the machine"`
	Kind         string            `json:"kind" enum:"space,server"`
	Name         string            `json:"name" doc:"Name of the Space or the machine"`
	Labels       map[string]string `json:"labels,omitempty"`
	State        string            `json:"state" enum:"pending,firing,resolved"`
	Summary      string            `json:"summary" doc:"A sentence"`
	Since        time.Time         `json:"since" doc:"When it began"`
	Fired        *time.Time        `json:"fired,omitempty"`
	Resolved     *time.Time        `json:"resolved,omitempty"`
	Flapping     bool              `json:"flapping,omitempty"`
	Quiet        string            `json:"quiet,omitempty" doc:"Why nobody is told of it"`
	Acknowledged *Acknowledgement  `json:"acknowledged,omitempty"`
}

// Acknowledgement says who has taken an incident on.
type Acknowledgement struct {
	By   string    `json:"by"`
	At   time.Time `json:"at"`
	Note string    `json:"note,omitempty"`
}

// IncidentDetail is an incident with all that happened in it.
type IncidentDetail struct {
	Incident
	Timeline   []IncidentNote `json:"timeline" doc:"The newest first"`
	Deliveries []Delivery     `json:"deliveries" doc:"Who was told, the newest first"`
}

// IncidentNote is a line of an incident's timeline.
type IncidentNote struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind"`
	Text string    `json:"text"`
}

// Delivery is something that a receiver was told, or is to be.
type Delivery struct {
	ID           string     `json:"id" doc:"The key by which a receiver knows a repetition"`
	Receiver     string     `json:"receiver"`
	ReceiverName string     `json:"receiverName"`
	Kind         string     `json:"kind" enum:"firing,flapping,escalation,reminder,resolved,test"`
	Title        string     `json:"title"`
	State        string     `json:"state" enum:"queued,sent,handed-over,merged,parked,expired"`
	Attempts     int64      `json:"attempts"`
	Error        string     `json:"error,omitempty"`
	Created      time.Time  `json:"created"`
	Due          *time.Time `json:"due,omitempty" doc:"Of the next attempt"`
	Finished     *time.Time `json:"finished,omitempty"`
}

// NewAcknowledgement takes an incident on.
type NewAcknowledgement struct {
	Note string `json:"note,omitempty" maxLength:"500"`
}

// AlertRuleSettings say what is wrong and who is to know.
type AlertRuleSettings struct {
	Name                 string   `json:"name" maxLength:"100" example:"Offline"`
	Signal               string   `json:"signal" enum:"status,certificate,queue,disk,version,sync,time-to-revoke"`
	Is                   string   `json:"is,omitempty" enum:"offline,degraded" doc:"Of the signal status"`
	Op                   string   `json:"op,omitempty" enum:"<,>" doc:"Of all other signals"`
	Threshold            float64  `json:"threshold,omitempty"`
	Kind                 string   `json:"kind,omitempty" enum:"space,server" doc:"Of what; absent: of both"`
	Matchers             string   `json:"matchers,omitempty" maxLength:"1000" doc:"Labels: server=host-1, version~\"2025[.].*\"; absent: everything"`
	FailureThreshold     int      `json:"failureThreshold,omitempty" minimum:"0" maximum:"10000" default:"1" doc:"So many looks in a row must find it"`
	SuccessThreshold     int      `json:"successThreshold,omitempty" minimum:"0" maximum:"10000" default:"1" doc:"So many must not, before it is over"`
	Severity             string   `json:"severity" enum:"critical,warning,info"`
	Receivers            []string `json:"receivers,omitempty" maxItems:"50" doc:"Identifiers; absent: the default receivers"`
	GroupBy              []string `json:"groupBy,omitempty" maxItems:"10" doc:"Labels; what has them in common is told together"`
	GroupWaitSeconds     int64    `json:"groupWaitSeconds,omitempty" minimum:"0" maximum:"2592000"`
	EscalateAfterSeconds int64    `json:"escalateAfterSeconds,omitempty" minimum:"0" maximum:"2592000" doc:"Where nobody has taken it on until then"`
	EscalateTo           []string `json:"escalateTo,omitempty" maxItems:"50"`
	RepeatEverySeconds   int64    `json:"repeatEverySeconds,omitempty" minimum:"0" maximum:"2592000" doc:"Remind until somebody takes it on; 0: never"`
	FlapChanges          int      `json:"flapChanges,omitempty" minimum:"0" maximum:"1000" doc:"More changes than this are flapping; 0: never"`
	FlapWindowSeconds    int64    `json:"flapWindowSeconds,omitempty" minimum:"0" maximum:"2592000"`
	FlapRestSeconds      int64    `json:"flapRestSeconds,omitempty" minimum:"0" maximum:"2592000"`
	Enabled              bool     `json:"enabled"`
}

// AlertRule is a rule.
type AlertRule struct {
	ID       string `json:"id"`
	Revision int64  `json:"revision"`
	AlertRuleSettings
}

// AlertPreview is what a rule would find now.
type AlertPreview struct {
	Total int                `json:"total"`
	Items []AlertPreviewItem `json:"items" doc:"At most 500"`
}

// AlertPreviewItem is something that a rule would find.
type AlertPreviewItem struct {
	Subject string `json:"subject"`
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Says    string `json:"says"`
}

// AlertReceiverSettings say whom to tell, and how. URL and key are secret: they are never shown again.
type AlertReceiverSettings struct {
	Name    string   `json:"name" maxLength:"100" example:"On call"`
	Kind    string   `json:"kind,omitempty" enum:"email,webhook,slack,teams,pagerduty,service" doc:"Cannot be changed"`
	To      []string `json:"to,omitempty" maxItems:"100" doc:"Addresses, of kind email"`
	URL     string   `json:"url,omitempty" maxLength:"4000" doc:"Of all other kinds; absent on a change: as it is" writeOnly:"true"`
	Key     string   `json:"key,omitempty" maxLength:"200" doc:"PagerDuty: the integration key. Webhook: what signs; made where absent" writeOnly:"true"`
	CA      string   `json:"ca,omitempty" maxLength:"100000" doc:"PEM of authorities to trust instead of the machine's"`
	Default bool     `json:"default,omitempty" doc:"Told of what rules without receivers find"`
	Enabled bool     `json:"enabled"`
}

// AlertReceiver is somebody to tell.
type AlertReceiver struct {
	ID       string   `json:"id"`
	Revision int64    `json:"revision"`
	Name     string   `json:"name"`
	Kind     string   `json:"kind"`
	To       []string `json:"to,omitempty"`
	Shown    string   `json:"shown" doc:"Where it goes, without what is secret"`
	CA       string   `json:"ca,omitempty"`
	Default  bool     `json:"default"`
	Enabled  bool     `json:"enabled"`
	Key      string   `json:"key,omitempty" doc:"The key that signs a webhook, in the answer to its creation alone"`
}

// NewSilence keeps incidents quiet for a time.
type NewSilence struct {
	Matchers string     `json:"matchers,omitempty" maxLength:"1000" doc:"Labels; space or these are needed"`
	Space    string     `json:"space,omitempty" maxLength:"100" doc:"Identifier of the Space that is silent"`
	From     *time.Time `json:"from,omitempty" doc:"Absent: now"`
	Until    time.Time  `json:"until"`
	Comment  string     `json:"comment" maxLength:"500" doc:"Why"`
}

// Silence is a time in which nobody is told of incidents.
type Silence struct {
	ID       string    `json:"id"`
	Revision int64     `json:"revision"`
	Matchers string    `json:"matchers,omitempty"`
	Space    string    `json:"space,omitempty"`
	From     time.Time `json:"from"`
	Until    time.Time `json:"until"`
	Comment  string    `json:"comment"`
	By       string    `json:"by"`
	Active   bool      `json:"active"`
}

// MaintenanceSettings say when what matches is no outage.
type MaintenanceSettings struct {
	Name         string     `json:"name" maxLength:"100" example:"Weekly restart"`
	Matchers     string     `json:"matchers,omitempty" maxLength:"1000" doc:"Labels; absent: everything"`
	From         *time.Time `json:"from,omitempty" doc:"Once: when it begins. Again and again: not before"`
	Schedule     string     `json:"schedule,omitempty" maxLength:"100" doc:"Minute, hour, day of month, month, day of week; absent: once" example:"0 22 * * 6"`
	Zone         string     `json:"zone,omitempty" maxLength:"100" doc:"Of the schedule; absent: UTC" example:"Europe/Berlin"`
	LastsSeconds int64      `json:"lastsSeconds" minimum:"60" maximum:"2678400"`
	Enabled      bool       `json:"enabled"`
}

// MaintenanceWindow is a time in which what matches is no outage.
type MaintenanceWindow struct {
	ID       string     `json:"id"`
	Revision int64      `json:"revision"`
	Active   bool       `json:"active"`
	Next     *time.Time `json:"next,omitempty" doc:"When it opens next"`
	MaintenanceSettings
}
