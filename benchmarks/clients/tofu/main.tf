# A state in S3 under a lock in DynamoDB; what is made is data of the state alone.
terraform {
  backend "s3" {
    key            = "a b/state.json"
    encrypt        = true
    use_path_style = true
  }
}

variable "workers" {
  default = 4
}

resource "terraform_data" "worker" {
  count = var.workers
  input = "worker ${count.index}"
}

resource "terraform_data" "holding" {
  provisioner "local-exec" {
    command = "touch held; while test -e held; do sleep 0.05; done"
  }
}
