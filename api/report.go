package api

import "time"

// ReportKind is a report that there is.
type ReportKind struct {
	Name  string `json:"name" doc:"As addresses have it: deployments"`
	Title string `json:"title"`
	Intro string `json:"intro"`
}

// Report is a report over a time.
type Report struct {
	Name    string         `json:"name"`
	Title   string         `json:"title"`
	From    time.Time      `json:"from" doc:"The beginning, in the zone"`
	To      time.Time      `json:"to" doc:"The end; it does not belong to the time"`
	Zone    string         `json:"zone"`
	Period  string         `json:"period" enum:"day,week,month" doc:"What a point of a chart stands for"`
	Figures []ReportFigure `json:"figures"`
	Charts  []ReportChart  `json:"charts"`
	Columns []ReportColumn `json:"columns"`
	Rows    [][]any        `json:"rows" doc:"In each row a text, a number or null for each column"`
	Total   int            `json:"total" doc:"Rows in all"`
	Next    string         `json:"next,omitempty" doc:"Offset of the next rows; absent where there are none"`
	Notes   []string       `json:"notes" doc:"What it was computed from, and what may be missing"`
}

// ReportFigure is a number that stands out.
type ReportFigure struct {
	Label  string `json:"label"`
	Value  string `json:"value"`
	Detail string `json:"detail,omitempty"`
}

// ReportChart is what a chart is drawn from.
type ReportChart struct {
	Title  string         `json:"title"`
	Labels []string       `json:"labels"`
	Series []ReportSeries `json:"series"`
}

// ReportSeries is a number for each label.
type ReportSeries struct {
	Name   string    `json:"name"`
	Values []float64 `json:"values"`
}

// ReportColumn is a column of a report.
type ReportColumn struct {
	Key   string `json:"key" doc:"To sort by"`
	Label string `json:"label"`
	Unit  string `json:"unit" doc:"text, number, percent (of 1), seconds or day"`
}

// ReportedDeployment is a single deployment or runbook run.
type ReportedDeployment struct {
	Space       string     `json:"space"`
	Kind        string     `json:"kind" enum:"deployment,runbook-run"`
	ID          string     `json:"id" doc:"As its server has it"`
	Project     string     `json:"project"`
	Environment string     `json:"environment"`
	Tenant      string     `json:"tenant,omitempty"`
	Version     string     `json:"version,omitempty" doc:"Of the release"`
	By          string     `json:"by,omitempty"`
	Outcome     string     `json:"outcome" enum:"queued,running,succeeded,failed,canceled,timed-out,lost"`
	Created     *time.Time `json:"created,omitempty"`
	Started     *time.Time `json:"started,omitempty"`
	Ended       *time.Time `json:"ended,omitempty"`
}

// ReportSchedule sends a report by e-mail.
type ReportSchedule struct {
	ReportPlan
	ID       string    `json:"id"`
	Owner    string    `json:"owner" doc:"Whose sight the mails have"`
	Paused   bool      `json:"paused"`
	Reason   string    `json:"reason,omitempty" doc:"Why it was paused by itself"`
	Due      time.Time `json:"due"`
	Created  time.Time `json:"created"`
	Revision int64     `json:"revision"`
}

// ReportPlan says which report is sent when and to whom.
type ReportPlan struct {
	Name   string   `json:"name" minLength:"1" maxLength:"100"`
	Report string   `json:"report" maxLength:"50" doc:"Name of the report: deployments"`
	Query  string   `json:"query,omitempty" maxLength:"2000" doc:"Its filters as the address of its page has them: last=week&by=project"`
	Every  string   `json:"every" enum:"daily,weekly,monthly"`
	Day    int      `json:"day,omitempty" minimum:"0" maximum:"31" doc:"Of the week, 1 is Monday; of the month, where a shorter month has its last day"`
	Hour   int      `json:"hour" minimum:"0" maximum:"23"`
	Minute int      `json:"minute,omitempty" minimum:"0" maximum:"59"`
	Zone   string   `json:"zone,omitempty" maxLength:"100" doc:"Time zone, such as Europe/Berlin; UTC if absent"`
	To     []string `json:"to" minItems:"1" maxItems:"50" doc:"E-mail addresses"`
}

// ReportSending is a report that was sent, or why it was not.
type ReportSending struct {
	Period     string    `json:"period" doc:"The time for which it was due; begins with now- where somebody asked for it"`
	At         time.Time `json:"at"`
	Recipients int       `json:"recipients"`
	Error      string    `json:"error,omitempty"`
}

// ReportPause stops or resumes a schedule.
type ReportPause struct {
	Paused bool `json:"paused"`
}
