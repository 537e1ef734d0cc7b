# What scripts may call (docs: deployments/custom-scripts). Variables arrive behind this text.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
[Console]::OutputEncoding = [System.Text.UTF8Encoding]::new($false)

function ConvertTo-OctopusValue([string]$value) { [Convert]::ToBase64String([System.Text.Encoding]::UTF8.GetBytes($value)) }
function Write-OctopusAs([string]$category, [string]$text) {
    [Console]::Out.WriteLine("##octopus[stdout-$category]")
    [Console]::Out.WriteLine($text)
    [Console]::Out.WriteLine('##octopus[stdout-default]')
}

function Set-OctopusVariable([string]$name, [string]$value, [switch]$sensitive) {
    $mark = if ($sensitive) { " sensitive='$(ConvertTo-OctopusValue 'True')'" } else { '' }
    Write-Host "##octopus[setVariable name='$(ConvertTo-OctopusValue $name)' value='$(ConvertTo-OctopusValue $value)'$mark]"
}

function New-OctopusArtifact {
    [CmdletBinding()]
    param(
        [Parameter(Position = 0, ValueFromPipeline = $true, ValueFromPipelineByPropertyName = $true)]
        [Alias('fullname', 'path')]
        [string]$fullpath,
        [Parameter(Position = 1, ValueFromPipelineByPropertyName = $true)]
        [string]$name = ''
    )
    process {
        if (-not (Test-Path -LiteralPath $fullpath -PathType Leaf)) { throw "There is no file '$fullpath' to keep as an artifact." }
        $file = Get-Item -LiteralPath $fullpath
        if ([string]::IsNullOrEmpty($name)) { $name = $file.Name }
        Write-OctopusAs 'verbose' "Artifact $name will be collected from $($file.FullName) after this step completes"
        Write-Host "##octopus[createArtifact path='$(ConvertTo-OctopusValue $file.FullName)' name='$(ConvertTo-OctopusValue $name)' length='$(ConvertTo-OctopusValue $file.Length)']"
    }
}

function Update-Progress {
    [CmdletBinding()]
    param([int]$percentage, [Parameter(ValueFromPipeline = $true)][string]$message)
    process { Write-Host "##octopus[progress percentage='$(ConvertTo-OctopusValue $percentage)' message='$(ConvertTo-OctopusValue $message)']" }
}

function Write-Verbose { [CmdletBinding()] param([Parameter(Position = 0, ValueFromPipeline = $true)][string]$message) process { Write-OctopusAs 'verbose' $message } }
function Write-Debug { [CmdletBinding()] param([Parameter(Position = 0, ValueFromPipeline = $true)][string]$message) process { Write-OctopusAs 'verbose' $message } }
function Write-Highlight { [CmdletBinding()] param([Parameter(Position = 0, ValueFromPipeline = $true)][string]$message) process { Write-OctopusAs 'highlight' $message } }
function Write-Wait { [CmdletBinding()] param([Parameter(Position = 0, ValueFromPipeline = $true)][string]$message) process { Write-OctopusAs 'wait' $message } }
function Write-Warning {
    [CmdletBinding()]
    param([Parameter(Position = 0, ValueFromPipeline = $true)][string]$message)
    process { if ($WarningPreference -ne 'SilentlyContinue') { Write-OctopusAs 'warning' $message } }
}

function Fail-Step([string]$message) {
    if ($message) { Write-Host "##octopus[resultMessage message='$(ConvertTo-OctopusValue $message)']" }
    exit 1
}

function Remove-OctopusTarget([string]$targetIdOrName) { Write-Host "##octopus[delete-target machine='$(ConvertTo-OctopusValue $targetIdOrName)']" }

$OctopusParameters = [System.Collections.Generic.Dictionary[string, string]]::new([System.StringComparer]::OrdinalIgnoreCase)
