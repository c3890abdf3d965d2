"""FHIR R4 records: Patient, Encounter, Observation, versioned and with every access recorded."""
