export function setUpCurves() {}
