package api

import "time"

// Server is a machine with an agent, on which instances run.
type Server struct {
	ID           string         `json:"id" example:"server-0198a7c4-5b1e-7c3a-9f00-3d2c1b0a9e8f"`
	Name         string         `json:"name" doc:"What the machine calls itself" example:"build-7"`
	Online       bool           `json:"online" doc:"Its agent has been heard in the last 30 seconds"`
	AgentVersion string         `json:"agentVersion" example:"1.0.0"`
	Enrolled     time.Time      `json:"enrolled"`
	LastSeen     *time.Time     `json:"lastSeen,omitempty" doc:"When its agent last reported; absent where it never did"`
	Room         int            `json:"room" doc:"How many more instances it can take, by its free memory and disk"`
	RoomReason   string         `json:"roomReason,omitempty" doc:"Why it can take none" example:"its disk is full"`
	Versions     []string       `json:"versions" doc:"What can be started there, the newest first"`
	Instances    int            `json:"instances" doc:"How many it has"`
	Running      int            `json:"running" doc:"How many of them run"`
	Capacity     ServerCapacity `json:"capacity"`
}

// ServerCapacity is what a machine has, as its agent sees it. Sizes are in bytes.
type ServerCapacity struct {
	CPUs            int   `json:"cpus" example:"8"`
	Memory          int64 `json:"memory" example:"17179869184"`
	MemoryFree      int64 `json:"memoryFree" example:"8589934592"`
	Disk            int64 `json:"disk" doc:"Of the file system that holds the instances" example:"107374182400"`
	DiskFree        int64 `json:"diskFree" example:"53687091200"`
	InstancesMemory int64 `json:"instancesMemory" doc:"Resident memory of all instances" example:"2147483648"`
}

// ServerDetail is a server with its instances.
type ServerDetail struct {
	Server
	Runs []ServerInstance `json:"runs" doc:"Its instances, the oldest first"`
}

// ServerInstance is an Octopus server process on a server: what it should be and what its agent saw last.
type ServerInstance struct {
	ID             string    `json:"id" example:"instance-0198a7c4-5b1e-7c3a-9f00-3d2c1b0a9e8f"`
	Name           string    `json:"name" example:"Payments"`
	Version        string    `json:"version" doc:"What it is pinned to" example:"1.0.0"`
	Desired        string    `json:"desired" enum:"running,stopped,removed"`
	State          string    `json:"state" enum:"pending,starting,running,backoff,failed,stopped,removed"`
	Reason         string    `json:"reason,omitempty" doc:"Why it is not running: what happened, what to do, the end of its log"`
	Since          time.Time `json:"since" doc:"When the state began"`
	URL            string    `json:"url,omitempty" doc:"Absent while it does not run" example:"http://127.0.0.1:20417"`
	OwnVersion     string    `json:"ownVersion,omitempty" doc:"As it says itself" example:"2026.1.0"`
	InstallationID string    `json:"installationId,omitempty" doc:"Absent until it first ran"`
	PID            int64     `json:"pid,omitempty" doc:"Process id, while there is a process"`
	Port           int       `json:"port,omitempty" example:"20417"`
	Restarts       int64     `json:"restarts" doc:"How often it ended by itself since its agent started"`
	Memory         int64     `json:"memory" doc:"Resident, in bytes"`
}

// NewEnrolmentToken asks for a token with which one machine becomes a server.
type NewEnrolmentToken struct {
	Note      string `json:"note,omitempty" doc:"What it is for" maxLength:"200" example:"build-7 in Perth"`
	ExpiresIn int    `json:"expiresIn,omitempty" doc:"Seconds until it stops working; an hour if absent" minimum:"60" maximum:"604800" example:"3600"`
}

// EnrolmentToken is the one answer that holds the token.
type EnrolmentToken struct {
	Token   string    `json:"token" doc:"Works once. Told only here" example:"odcm-enrol..."`
	Manager string    `json:"manager" doc:"Where agents reach the manager" example:"odcm.example.com:8081"`
	Command string    `json:"command" doc:"What to run on the machine" example:"odcm agent --manager odcm.example.com:8081 --token odcm-enrol..."`
	Expires time.Time `json:"expires"`
}
